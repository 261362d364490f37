/** Every method on the CPU engine, against the float64 twins. */
import { cpuTarget, Engine } from '../../lib/runtime/index.js';
import { describeMethods } from '../helpers/describe-methods.js';
import { methodCases } from '../helpers/method-cases.js';

const threads = 2;

describeMethods(methodCases, {
  target: cpuTarget({ threads }),
  async withMachine(plan, body) {
    await using engine = await Engine.open({ device: 'cpu', threads });
    await engine.load(plan);
    await body(engine);
  },
});
