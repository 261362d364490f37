/** What the server answers, and what is drawn of it. */

export interface JobPlan {
  readonly device: string;
  readonly planned_bytes: number;
  readonly overhead_bytes: number;
  readonly num_parameters: number;
  readonly max_steps: number;
  readonly num_tokens: number;
  /** Bytes by what they are for, of this job and of the same one trained whole with AdamW. */
  readonly bytes_by_kind: Readonly<Record<string, number>>;
  readonly dense_bytes_by_kind: Readonly<Record<string, number>>;
}

export interface Job {
  readonly id: string;
  readonly status: string;
  readonly created_at: number;
  readonly finished_at: number | null;
  readonly estimated_finish: number | null;
  readonly model: string;
  readonly fine_tuned_model: string | null;
  readonly method: { readonly type: string };
  readonly error: { readonly message: string; readonly code: string } | null;
  readonly compact: {
    /** Its name, e.g. 'lora'; what kind of learning `method` above says. */
    readonly method: string;
    readonly step: number;
    readonly max_steps: number;
    readonly trained_tokens: number;
    readonly attempts: number;
    readonly stop_request: string | null;
    readonly plan: JobPlan;
  };
}

export interface ServerStatus {
  readonly devices: readonly {
    readonly name: string;
    readonly memory_bytes: number;
    readonly taken_bytes: number;
  }[];
  /** Jobs of everybody. */
  readonly running: number;
  readonly queued: number;
}

export interface JobEvent {
  readonly id: string;
  readonly created_at: number;
  readonly level: 'info' | 'warn' | 'error';
  readonly type: 'message' | 'metrics';
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Page<T> {
  readonly data: readonly T[];
  readonly has_more: boolean;
  readonly last_id: string | null;
}

/** A line of a chart: values by step; null where nothing was measured. */
export interface Line {
  readonly label: string;
  readonly values: readonly (number | null)[];
  /** Which of the colours of the page it has. */
  readonly colour: number;
  readonly isDashed?: boolean;
  /** Its own axis, on the right. */
  readonly isOnRight?: boolean;
}
