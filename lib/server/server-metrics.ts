import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type * as Prometheus from 'prom-client';
import type { JobServiceStatus } from '../jobs/job-service.js';
import { optionalPackage } from '../jobs/optional-package.js';

/** How often it is looked at how late timers are. */
const delayResolutionMs = 20;

/** Seconds of an answer: from a list of jobs to an upload or a stream that stays open. */
const durationBuckets = [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600];

/** A request that has been answered, or whose client has gone. */
export interface AnsweredRequest {
  readonly method: string;
  /** As it was registered, e.g. '/v1/files/:id'. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
}

/** What Prometheus reads of one server. Jobs are asked when it reads, requests are counted as they end. */
export class ServerMetrics implements Disposable {
  readonly #registry: Prometheus.Registry;
  readonly #requests: Prometheus.Counter;
  readonly #durations: Prometheus.Histogram;
  readonly #setJobs: (status: JobServiceStatus) => void;
  readonly #setProcess: () => void;
  readonly #delay = monitorEventLoopDelay({ resolution: delayResolutionMs });

  /** @throws ERR_COMPACT_PACKAGE_MISSING */
  constructor() {
    const { Counter, Histogram, Registry, ...client } = optionalPackage(
      'prom-client',
      'GET /metrics',
      () => require('prom-client') as typeof Prometheus,
    );
    this.#registry = new Registry();
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: 'compact_http_requests_total',
      help: 'Requests that were answered, by route and status',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#durations = new Histogram({
      name: 'compact_http_request_duration_seconds',
      help: 'Seconds from a request to the end of its answer, by route',
      labelNames: ['method', 'route'],
      buckets: durationBuckets,
      registers,
    });
    this.#setJobs = jobMetrics({ Counter, ...client }, registers);
    this.#setProcess = processMetrics(client, registers, this.#delay);
    this.#delay.enable();
  }

  count({ method, route, status, seconds }: AnsweredRequest): void {
    this.#requests.inc({ method, route, status });
    this.#durations.observe({ method, route }, seconds);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything, in the text that Prometheus reads. */
  text(status: JobServiceStatus): Promise<string> {
    this.#setJobs(status);
    this.#setProcess();
    return this.#registry.metrics();
  }

  [Symbol.dispose](): void {
    this.#delay.disable();
  }
}

/** @returns how to set them */
function jobMetrics(
  { Counter, Gauge }: Pick<typeof Prometheus, 'Counter' | 'Gauge'>,
  registers: Prometheus.Registry[],
): (status: JobServiceStatus) => void {
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]): Prometheus.Gauge<L> =>
    new Gauge({ name, help, labelNames, registers });
  const jobs = gauge('compact_jobs', 'Jobs of all owners by status', 'status');
  const wait = gauge(
    'compact_queue_wait_seconds',
    'Seconds that the job has waited which has waited longest',
  );
  const steps = new Counter({
    ...{ name: 'compact_steps_total', help: 'Optimizer steps that jobs have done on this server', registers },
  });
  const tokens = new Counter({
    ...{ name: 'compact_trained_tokens_total', help: 'Tokens that jobs have learnt from on this server' },
    registers,
  });
  const speed = gauge('compact_tokens_per_second', 'Tokens per second of all jobs that run on this server');
  const step = gauge('compact_step_seconds', 'Seconds that a step takes, the mean of the jobs that run here');
  const planned = gauge('compact_planned_bytes', 'Bytes that running jobs allocate by their plans');
  const memory = gauge('compact_device_memory_bytes', 'Bytes that jobs may take of a device', 'device');
  const taken = gauge('compact_device_taken_bytes', 'Bytes that jobs take of a device', 'device');
  return ({ counts, waitingSince, throughput, plannedBytes, devices }) => {
    for (const [status, count] of Object.entries(counts)) jobs.set({ status }, count);
    wait.set(waitingSince === undefined ? 0 : Math.max(0, Date.now() - waitingSince) / 1000);
    setTotal(steps, throughput.steps);
    setTotal(tokens, throughput.trainedTokens);
    speed.set(throughput.tokensPerSecond);
    step.set(throughput.secondsPerStep ?? NaN);
    planned.set(plannedBytes);
    for (const { name, memoryBytes, takenBytes } of devices) {
      memory.set({ device: name }, memoryBytes);
      taken.set({ device: name }, takenBytes);
    }
  };
}

/** Of this process; its memory by the names that it has with most servers of Node. @returns how to set them */
function processMetrics(
  { Gauge }: Pick<typeof Prometheus, 'Gauge'>,
  registers: Prometheus.Registry[],
  delay: IntervalHistogram,
): () => void {
  const gauge = (name: string, help: string): Prometheus.Gauge => new Gauge({ name, help, registers });
  const resident = gauge('process_resident_memory_bytes', 'Bytes of memory of the process of the server');
  const heap = gauge('nodejs_heap_size_used_bytes', 'Bytes that objects of JavaScript take');
  const external = gauge('nodejs_external_memory_bytes', 'Bytes beside the heap, such as those of buffers');
  const delays = new Gauge({
    name: 'compact_event_loop_delay_seconds',
    help: 'How late timers were since the last read',
    labelNames: ['quantile'],
    registers,
  });
  return () => {
    const { rss, heapUsed, external: externalBytes } = process.memoryUsage();
    resident.set(rss);
    heap.set(heapUsed);
    external.set(externalBytes);
    for (const quantile of [0.5, 0.99, 1]) {
      // What is measured is the time between two timers, and so includes what they wait on purpose.
      const lateMs = delay.percentile(100 * quantile) / 1e6 - delayResolutionMs;
      delays.set({ quantile }, Math.max(0, lateMs) / 1000);
    }
    delay.reset();
  };
}

/** A total that somebody else has counted. */
function setTotal(counter: Prometheus.Counter, total: number): void {
  counter.reset();
  counter.inc(total);
}
