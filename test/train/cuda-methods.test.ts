/** Every method on the CUDA backend, against the float64 twins. */
import { cudaTarget } from '../../lib/runtime/index.js';
import { describeMethods } from '../helpers/describe-methods.js';
import { cudaDevice, isOnGpu, withEngine } from '../helpers/machines.js';
import { methodCases } from '../helpers/method-cases.js';

describeMethods(methodCases, {
  target: cudaTarget(cudaDevice),
  isSlow: !isOnGpu,
  withMachine: (plan, body) =>
    withEngine(cudaDevice, 1, async (engine) => {
      await engine.load(plan);
      await body(engine);
    }),
});
