// Reads what an entry of the package exports, with ts-morph, into plain data: declarations in the words of the source.
'use strict';

const path = require('node:path');
const { Node, Project } = require('ts-morph');
const { innerTextOf, parseDocstring } = require('./docstring.cjs');

/** One list of declarations for each entry, and what the docstring at the head of its file says. */
function readEntries(root, files) {
  const project = new Project({
    tsConfigFilePath: path.join(root, 'tsconfig.json'),
    skipAddingFilesFromTsConfig: true,
    // Types of Node and most of the language's are never looked into, and take longer to read than the package.
    compilerOptions: { types: [], lib: ['lib.es5.d.ts'] },
  });
  const sources = files.map((file) => project.addSourceFileAtPath(path.join(root, file)));
  const folder = path.join(root, 'lib');
  const exported = sources.map((source) => [...source.getExportedDeclarations()]);
  const publicNodes = new Set(exported.flatMap((declarations) => declarations.flatMap(([, nodes]) => nodes)));
  return sources.map((source, index) => ({
    doc: parseDocstring(innerTextOf(headOf(source))),
    declarations: exported[index].map(([name, [node]]) => ({
      name,
      file: path.relative(folder, node.getSourceFile().getFilePath()).replaceAll('\\', '/'),
      doc: docOf(Node.isVariableDeclaration(node) ? node.getVariableStatement() : node),
      ...shapeOf(name, node, publicNodes),
    })),
  }));
}

const headOf = (source) =>
  source
    .getStatements()[0]
    .getLeadingCommentRanges()
    .map((range) => range.getText())
    .find((text) => text.startsWith('/**'));

const docOf = (node) => parseDocstring(node.getJsDocs?.().at(-1)?.getInnerText() ?? '');

function shapeOf(name, node, publicNodes) {
  if (Node.isFunctionDeclaration(node)) return { kind: 'function', signature: signatureOf(name, node) };
  if (Node.isClassDeclaration(node) || Node.isInterfaceDeclaration(node))
    return {
      kind: Node.isClassDeclaration(node) ? 'class' : 'interface',
      ...membersOf(node, publicNodes),
    };
  if (Node.isTypeAliasDeclaration(node)) return { kind: 'type', signature: aliasOf(name, node) };
  return constantOf(name, node);
}

/** A constant that is a function is one for its callers; others are told by their type, or by what they are. */
function constantOf(name, node) {
  const value = node.getInitializer();
  // The written type; else the one that it satisfies or is taken for.
  const type = node.getTypeNode() ?? value.getTypeNode?.();
  if (Node.isArrowFunction(value)) return { kind: 'function', signature: signatureOf(name, value) };
  if (type !== undefined && type.getText() !== 'const')
    return { kind: 'constant', type: oneLine(type), signature: `const ${name}: ${oneLine(type)}` };
  return { kind: 'constant', signature: sourceOf(node.getVariableStatement()) };
}

/** A type that is made from a constant is told by its values: the constant may be nobody's but the package's. */
function aliasOf(name, node) {
  const members = node.getType().getUnionTypes();
  const isMadeOfConstant = /\btypeof\b/.test(node.getTypeNode().getText());
  if (!isMadeOfConstant || members.length === 0) return sourceOf(node);
  const values = members.map((member) => `'${member.getLiteralValueOrThrow()}'`);
  const line = `type ${name} = ${values.join(' | ')}`;
  return line.length <= 100 ? line : `type ${name} =\n${values.map((value) => `  | ${value}`).join('\n')}`;
}

/** As the source has it, without its docstring and what only the compiler needs. */
const sourceOf = (node) =>
  node
    .getText()
    .replace(/^(?:export |declare )+/, '')
    .replace(/;$/, '');

const oneLine = (node) =>
  node
    .getText()
    .replace(/\/\*\*?.*?\*\/\s*/gs, '')
    .replace(/\s+/g, ' ')
    .replace(/(?<=<) | (?=>)/g, '');

function signatureOf(name, node) {
  const generics = node.getTypeParameters?.() ?? [];
  const parameters = node.getParameters().map(parameterOf);
  const head = `${name}${generics.length > 0 ? `<${generics.map(oneLine).join(', ')}>` : ''}`;
  const result = node.getReturnTypeNode() === undefined ? '' : `: ${oneLine(node.getReturnTypeNode())}`;
  const line = `${head}(${parameters.join(', ')})${result}`;
  return line.length <= 100 ? line : `${head}(\n${parameters.map((one) => `  ${one},\n`).join('')})${result}`;
}

/** A parameter that is taken apart where it arrives is called by what all such are: its options. */
function parameterOf(parameter) {
  const name = Node.isIdentifier(parameter.getNameNode()) ? parameter.getName() : 'options';
  const rest = parameter.isRestParameter() ? '...' : '';
  const isOptional = parameter.isOptional() && rest === '';
  const written = parameter.getTypeNode();
  const type =
    written === undefined ? parameter.getType().getBaseTypeOfLiteralType().getText() : oneLine(written);
  return `${rest}${name}${isOptional ? '?' : ''}: ${type}`;
}

/** Public members, those of a base that is not itself public included, and the bases that are. */
function membersOf(node, publicNodes) {
  const bases = [];
  const own = Node.isClassDeclaration(node)
    ? [...node.getConstructors(), ...node.getStaticMembers(), ...node.getInstanceMembers()]
    : node.getMembers();
  const members = own.filter(isPublic).map(memberOf);
  for (const base of basesOf(node)) {
    const symbol = base.getExpression().getSymbol();
    const [declaration] = (symbol?.getAliasedSymbol() ?? symbol)?.getDeclarations() ?? [];
    const isInner =
      declaration !== undefined &&
      (Node.isClassDeclaration(declaration) || Node.isInterfaceDeclaration(declaration)) &&
      !declaration.getSourceFile().isInNodeModules() &&
      !publicNodes.has(declaration);
    if (isInner) {
      const inherited = membersOf(declaration, publicNodes);
      members.push(...inherited.members);
      bases.push(...inherited.bases);
    } else bases.push(oneLine(base));
  }
  return { bases, members };
}

const basesOf = (node) =>
  Node.isClassDeclaration(node)
    ? [node.getExtends()].filter((base) => base !== undefined)
    : node.getExtends();

function isPublic(member) {
  const isHidden = member.getName?.().startsWith('#') ?? false;
  const scope = member.getScope?.() ?? 'public';
  return !isHidden && scope === 'public' && !docTags(member).includes('internal');
}

const docTags = (member) =>
  member.getJsDocs?.().flatMap((doc) => doc.getTags().map((tag) => tag.getTagName())) ?? [];

function memberOf(member) {
  if (Node.isConstructorDeclaration(member)) {
    const name = `new ${member.getParentOrThrow().getName()}`;
    return { name, doc: docOf(member), signature: signatureOf(name, member) };
  }
  const name = member.getName();
  const isMethod = Node.isMethodDeclaration(member) || Node.isMethodSignature(member);
  const type = isMethod ? undefined : (member.getTypeNode?.() ?? member.getReturnTypeNode?.());
  if (!isMethod && type === undefined) throw new Error(`docs-api: ${name} has no written type`);
  return {
    name,
    doc: docOf(member),
    isStatic: member.isStatic?.() ?? false,
    isOptional: member.hasQuestionToken?.() ?? false,
    ...(isMethod ? { signature: signatureOf(name, member) } : { type: oneLine(type) }),
  };
}

module.exports = { readEntries };
