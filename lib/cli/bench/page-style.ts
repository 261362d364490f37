import { chartStyle } from './charts/palette.js';

export const pageStyle = `${chartStyle}
  :root { color-scheme: light dark; --ink: #1f2430; --soft: #5b6472; --line: #dde1e7; --ground: #ffffff; --panel: #f6f7f9; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e8eaf0; --soft: #a3acba; --line: #343b47; --ground: #14171d; --panel: #1b1f27; }
  }
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--ground); color: var(--ink); line-height: 1.5;
    font-family: ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
  main { max-width: 1040px; margin: 0 auto; padding: 40px 32px 80px; }
  h1 { font-size: 30px; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; }
  h2 { font-size: 21px; margin: 56px 0 6px; letter-spacing: -0.005em; }
  h3 { font-size: 15px; margin: 26px 0 6px; }
  p { margin: 6px 0 14px; max-width: 76ch; }
  .soft { color: var(--soft); }
  .facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 14px; margin: 26px 0 0; }
  .fact { background: var(--panel); border-radius: 10px; padding: 14px 16px; }
  .fact b { display: block; font-size: 25px; line-height: 1.25; font-variant-numeric: tabular-nums; }
  .fact span { color: var(--soft); font-size: 13px; line-height: 1.4; display: block; }
  svg.chart { display: block; width: 100%; height: auto; color: var(--ink); }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; font-size: 13.5px; width: 100%; font-variant-numeric: tabular-nums; }
  th, td { padding: 6px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
  th { font-weight: 600; white-space: normal; color: var(--soft); vertical-align: bottom; }
  th:first-child, td:first-child { text-align: left; padding-left: 0; }
  td small { color: var(--soft); font-size: 12px; margin-left: 6px; }
  .stacked small { display: block; margin: -2px 0 0; }
  select { font: inherit; padding: 4px 8px; border-radius: 7px; border: 1px solid var(--line); background: var(--panel);
    color: inherit; }
  blockquote { margin: 8px 0; padding: 12px 16px; background: var(--panel); border-radius: 8px; white-space: pre-wrap;
    font-size: 13.5px; overflow-wrap: anywhere; }
  blockquote b { color: var(--soft); font-weight: 500; }
  .block:hover { stroke: var(--ink); stroke-width: 1.5; }
  .cursor { fill: var(--hover); pointer-events: none; }
  #tip { position: fixed; top: 0; left: 0; z-index: 9; pointer-events: none; background: var(--ground); color: var(--ink);
    border: 1px solid var(--line); border-radius: 9px; box-shadow: 0 6px 24px #0003; padding: 10px 13px; font-size: 12.5px;
    min-width: 230px; max-width: 420px; }
  #tip[hidden] { display: none; }
  .tip-title { font-weight: 650; margin-bottom: 4px; overflow-wrap: anywhere; }
  .tip-sub { color: var(--soft); margin-top: 6px; }
  .tip-row { display: flex; gap: 8px; align-items: center; }
  .tip-key { width: 10px; height: 10px; border-radius: 2px; flex: none; }
  .tip-label { flex: 1; overflow-wrap: anywhere; }
  .tip-value { font-variant-numeric: tabular-nums; }
  footer { margin-top: 64px; color: var(--soft); font-size: 13px; border-top: 1px solid var(--line); padding-top: 16px; }
  @media print { #tip { display: none; } h2 { break-after: avoid; } }
`;
