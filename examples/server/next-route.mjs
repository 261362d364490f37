// A route handler of Next.js (app/api/answer/route.js) that learns from what its users correct, verb by verb:
//   npm install compact-train
// In next.config.js: serverExternalPackages: ['compact-train'], for a bundler cannot take its binary in.
import { lora, TrainingSession } from 'compact-train';

// One session for the process; Next loads a route anew while it is developed.
const opened = () =>
  (globalThis.session ??= TrainingSession.open({
    model: process.env.MODEL ?? 'server-data/models/smollm',
    method: lora(),
    sequenceLength: 64,
  }));

/** { prompt }: what the model answers. */
export async function POST(request) {
  const { prompt } = await request.json();
  const session = await opened();
  const { text } = await session.sample({ prompt, maxNewTokens: 32, temperature: 0 });
  return Response.json({ text });
}

/** { prompt, completion }: what it should have answered; it learns that, and answers others meanwhile. */
export async function PUT(request) {
  const correction = await request.json();
  const session = await opened();
  try {
    const { loss } = await session.forwardBackward(await session.encode([correction]));
    const { step } = await session.optimStep({ learningRate: 2e-4 });
    return Response.json({ loss, step });
  } catch (error) {
    return Response.json({ code: error.code, message: error.message }, { status: 400 });
  }
}
