import { fontFamily, paletteStyle } from '../charts/palette.js';

/** Sizes of text are in pixels and never below 12. */
export const pageStyle = `${paletteStyle(':root')}
  :root { color-scheme: light dark; }
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 ${fontFamily};
    -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
  main { max-width: 1304px; margin: 0 auto; padding: 40px 32px 80px; }
  h1 { font-size: 30px; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; text-wrap: balance; }
  h2 { font-size: 22px; margin: 56px 0 6px; letter-spacing: -0.005em; }
  h3 { font-size: 16px; margin: 26px 0 6px; }
  p { margin: 6px 0 14px; max-width: 76ch; }
  .soft, figcaption { color: var(--soft); }
  figcaption b { color: var(--ink); }
  .note { color: var(--soft); font-size: 13px; }
  :focus-visible { outline: 2px solid var(--series-0); outline-offset: 2px; border-radius: 2px; }

  .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 14px; margin: 26px 0 0; }
  .card { background: var(--panel); border-radius: 10px; padding: 14px 16px; display: flex; flex-direction: column-reverse;
    justify-content: flex-end; }
  .card dd { margin: 0; font-size: 26px; font-weight: 700; line-height: 1.25; font-variant-numeric: tabular-nums; }
  .card dt { color: var(--soft); font-size: 14px; line-height: 1.4; }

  .scroll { overflow-x: auto; margin: 18px 0; }
  table { border-collapse: collapse; font-size: 14px; width: 100%; font-variant-numeric: tabular-nums; }
  caption { text-align: left; color: var(--soft); font-size: 14px; padding-bottom: 6px; }
  caption span { display: inline-block; position: sticky; left: 0; max-width: calc(100vw - 32px); }
  th, td { padding: 6px 0 6px 12px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
  th { font-weight: 600; }
  thead th { white-space: normal; color: var(--soft); vertical-align: bottom; }
  th:first-child { text-align: left; padding-left: 0; white-space: normal; position: sticky; left: 0;
    background: var(--ground); }
  tbody th { font-weight: 500; }
  td small { color: var(--soft); font-size: 12px; font-weight: 400; display: block; margin: -2px 0 0; }
  .best { color: var(--good); font-weight: 700; }
  .tag { display: inline-block; font-size: 12px; font-weight: 500; line-height: 16px; padding: 0 6px; border-radius: 9px;
    border: 1px solid currentColor; color: var(--soft); white-space: nowrap; }
  .tag.good { color: var(--good); }

  .bars th:nth-child(2) { text-align: left; }
  .bars .bar-cell { width: 55%; }
  .bar svg { display: block; width: 100%; height: 20px; }
  .legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 10px 0; padding: 0; font-size: 13px; }
  .legend svg { margin-right: 6px; vertical-align: -1px; }

  figure { margin: 18px 0; min-width: 0; }
  figcaption { margin-bottom: 6px; font-size: 15px; }
  .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 10px 40px; }
  .plot { display: grid; grid-template-columns: 68px minmax(0, 1fr); font-size: 12px; color: var(--soft);
    font-variant-numeric: tabular-nums; }
  .plot-area { position: relative; color: var(--ink); }
  .plot-area svg { display: block; width: 100%; height: 100%; overflow: hidden; pointer-events: none; }
  .plot-area > b { position: absolute; right: 4px; font-weight: 600; line-height: 18px; pointer-events: none; }
  .plot-y, .plot-x { position: relative; line-height: 16px; }
  .plot-y span { position: absolute; right: 8px; transform: translateY(50%); white-space: nowrap; }
  .plot-x { grid-column: 2; height: 40px; margin-top: 6px; }
  .plot-x span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
  .plot-x span:first-child { transform: none; }
  .plot-x span:last-of-type:not(:first-child) { transform: translateX(-100%); }
  .phases .plot-x { height: 24px; }
  .phases .plot-x span { transform: none !important; }
  .plot-x i { position: absolute; top: 18px; left: 50%; transform: translateX(-50%); font-style: normal; }
  .rule { stroke: var(--line); stroke-width: 1; fill: none; }
  .mark { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 3; fill: none; }
  .plot-hit { position: absolute; inset: 0; cursor: crosshair; touch-action: pan-y; }
  .cursor { position: absolute; background: var(--hover); box-shadow: 0 0 0 1.5px var(--ink); pointer-events: none;
    min-width: 1px; min-height: 1px; }
  .cursor[hidden] { display: none; }
  summary { cursor: pointer; font-size: 14px; color: var(--soft); padding: 6px 0; }

  select { font: inherit; padding: 6px 8px; border-radius: 7px; border: 1px solid var(--soft); background: var(--panel);
    color: inherit; max-width: 100%; }
  blockquote { margin: 8px 0; padding: 12px 16px; background: var(--panel); border-radius: 8px; white-space: pre-wrap;
    font-size: 14px; overflow-wrap: anywhere; }
  blockquote b { color: var(--soft); font-weight: 500; }
  #tip { position: absolute; top: 0; left: 0; z-index: 9; pointer-events: none; background: var(--ground); color: var(--ink);
    border: 1px solid var(--line); border-radius: 9px; box-shadow: 0 6px 24px #0003; padding: 10px 13px; font-size: 13px;
    width: max-content; min-width: 230px; max-width: min(420px, calc(100vw - 16px)); }
  #tip[hidden] { display: none; }
  .tip-title { font-weight: 650; margin-bottom: 4px; overflow-wrap: anywhere; }
  .tip-note { color: var(--soft); margin-top: 6px; overflow-wrap: anywhere; }
  .tip-row { display: flex; gap: 8px; align-items: center; }
  .tip-key { width: 10px; height: 10px; border-radius: 2px; flex: none; }
  .tip-label { flex: 1; overflow-wrap: anywhere; }
  footer { margin-top: 64px; color: var(--soft); font-size: 13px; border-top: 1px solid var(--line); padding-top: 16px; }

  @media screen and (max-width: 899px) {
    main { padding: 24px 16px 56px; }
    h1 { font-size: 25px; }
    :not(.bars) > * > tr > th:first-child { min-width: 104px; max-width: 150px; padding-right: 6px; }
    .bars thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    .bars, .bars tbody, .bars caption { display: block; }
    .bars tbody tr { display: flex; flex-wrap: wrap; padding: 8px 0; border-bottom: 1px solid var(--line); }
    .bars tbody th { flex: 1; border: 0; padding: 0; }
    .bars td { border: 0; padding: 0; text-align: left; }
    .bars .peak { order: 1; padding-left: 10px; }
    .bars .bar-cell { order: 2; width: 100%; padding: 4px 0; }
    .bars td[data-label] { order: 3; font-size: 12px; color: var(--soft); }
    .bars td[data-label]:not(:empty)::after { content: ' ' attr(data-label); margin-right: 10px; }
    .plot { grid-template-columns: 56px minmax(0, 1fr); }
  }
  @media print {
    @page { size: A4 landscape; margin: 12mm; }
    main { max-width: none; padding: 0; }
    #tip, .cursor, label select { display: none; }
    [data-script] { display: none; }
    .scroll { overflow: visible; }
    th:first-child { position: static; }
    h2, h3, figcaption, caption, thead, .legend { break-after: avoid; }
    table, figure, .card, blockquote { break-inside: avoid; }
    .card, blockquote { border: 1px solid var(--line); }
    details:not([open]) { display: none; }
    h2 { margin-top: 28px; }
  }
`;
