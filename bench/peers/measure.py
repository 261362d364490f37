"""Tokens, clocks and memory, the same for every program."""

import os
import time

import torch


def random_tokens(count, vocabulary, skip=0):
    """Numbers `skip` ... `skip + count - 1` of a linear congruential generator, as token ids: those that this package's
    own benchmarks train on."""
    multipliers = torch.full((skip + count,), 1664525, dtype=torch.int64).cumprod(0)  # modulo 2^64, so modulo 2^32 too
    sums = torch.cat((torch.ones(1, dtype=torch.int64), multipliers[:-1])).cumsum(0)
    states = (multipliers + 1013904223 * sums) % 2**32
    return (states[skip:].double() / 2**32 * vocabulary).long()


def batch(shape, sequences, device):
    count = sequences * shape.sequence
    tokens, targets = random_tokens(count, shape.vocab), random_tokens(count, shape.vocab, count)
    return tuple(part.view(sequences, shape.sequence).to(device) for part in (tokens, targets))


def read_batches(path, shape, sequences, device):
    """Tokens and targets of each step, as `scripts/bench losses --inputs` writes them."""
    numbers = torch.from_file(path, size=os.path.getsize(path) // 4, dtype=torch.int32)
    steps = numbers.view(-1, 2, sequences, shape.sequence).long().to(device)
    return [tuple(parts) for parts in steps]


class Clock:
    """Milliseconds between marks: of the GPU's own events, or of the wall."""

    def __init__(self, device):
        self.is_cuda, self.marks = device.type == "cuda", []

    def mark(self):
        if self.is_cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.marks.append(event)
        else:
            self.marks.append(time.perf_counter())

    def times_ms(self):
        pairs = zip(self.marks[:-1], self.marks[1:])
        if not self.is_cuda:
            return [(end - begin) * 1e3 for begin, end in pairs]
        torch.cuda.synchronize()
        return [begin.elapsed_time(end) for begin, end in pairs]


def reset_peak(device):
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device):
    """What tensors took, and what the allocator held for them; on a CPU nobody counts that. The third number, what the
    process took of the GPU, is seen from outside (scripts/gpu-bench)."""
    if device.type != "cuda":
        return {"tensors": None, "pool": None}
    return {"tensors": torch.cuda.max_memory_allocated(device), "pool": torch.cuda.max_memory_reserved(device)}
