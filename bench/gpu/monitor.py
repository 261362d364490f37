"""What nvidia-smi says while a cell runs: memory of the GPU, clock, power. Without it, nothing."""

import shutil
import subprocess
import threading

QUERY = "memory.used,clocks.sm,power.draw"
PERIOD_S = 0.2
QUERY_SECONDS = 20  # a driver that is stuck answers never


def query(fields):
    """One row of numbers or words of GPU 0; None when there is no nvidia-smi or no GPU."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "-i", "0", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=QUERY_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    if result.returncode != 0:
        return None
    return [word.strip() for word in result.stdout.strip().splitlines()[0].split(",")]


def number(word):
    try:
        return float(word)
    except ValueError:
        return None  # "[N/A]"


class Monitor:
    """with Monitor() as monitor: ...; then monitor.report()."""

    def __enter__(self):
        self.samples, self.stop = [], threading.Event()
        self.before = self.sample()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        if self.before is not None:
            self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        if self.before is not None:
            self.thread.join()
        self.after = self.sample()

    def sample(self):
        words = query(QUERY)
        return None if words is None else [number(word) for word in words]

    def watch(self):
        while not self.stop.wait(PERIOD_S):
            row = self.sample()
            if row is not None:
                self.samples.append(row)

    def report(self):
        """Clocks in MHz, power in W; the process is what the GPU lost beside what it lacked before, in bytes: context
        and code included. Samples are apart, so a shorter peak is missed."""
        if self.before is None or self.after is None:
            return {}
        at = lambda row: {"smClockMHz": row[1], "powerW": row[2]}
        used = [row[0] for row in self.samples if row[0] is not None]
        process = None
        if used and self.before[0] is not None:
            process = round((max(used) - self.before[0]) * 2**20)
        return {"clocks": {"before": at(self.before), "after": at(self.after)}, "processBytes": process}
