/** Whole training runs on the CUDA backend, against recordings from PyTorch and against each other. */
import { cudaTarget } from '../../lib/runtime/index.js';
import { describeWholeModel } from '../helpers/describe-whole-model.js';
import { cudaDevice, isOnGpu, withEngine } from '../helpers/machines.js';

describeWholeModel({
  target: cudaTarget(cudaDevice),
  isSlow: !isOnGpu,
  withMachine: (plan, body) =>
    withEngine(cudaDevice, 1, async (engine) => {
      await engine.load(plan);
      await body(engine);
    }),
});
