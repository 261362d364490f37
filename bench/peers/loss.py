"""The output layer and its cross-entropy in chunks of tokens: three products of tokens x vocabulary, as this package
does it. The logits of one chunk exist at a time, and nothing of them is left for backward."""

import torch
import torch.nn.functional as F


class ChunkedCrossEntropy(torch.autograd.Function):
    """hidden (tokens, h), weight (vocab, h), targets (tokens) to the mean loss. Gradients are made on the way."""

    @staticmethod
    def forward(ctx, hidden, weight, targets, chunk, softmax):
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        d_hidden, d_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        for begin in range(0, len(targets), chunk):
            rows = slice(begin, begin + chunk)
            part, d_logits = softmax(hidden[rows] @ weight.T, targets[rows], len(targets))
            loss += part
            torch.mm(d_logits, weight, out=d_hidden[rows])
            d_weight.addmm_(d_logits.T, hidden[rows])
        ctx.save_for_backward(d_hidden, d_weight)
        return loss

    @staticmethod
    def backward(ctx, d_loss):
        d_hidden, d_weight = ctx.saved_tensors
        return d_hidden.mul_(d_loss), d_weight.mul_(d_loss), None, None, None


def softmax_loss(logits, targets, count):
    """Loss of a chunk and its gradient, both divided by the number of tokens of the batch."""
    log_probabilities = F.log_softmax(logits.float(), dim=-1)
    picked = log_probabilities.gather(1, targets[:, None])
    is_target = torch.arange(logits.shape[1], device=logits.device) == targets[:, None]
    gradient = (log_probabilities.exp() - is_target.to(torch.float32)) / count
    return -picked.sum() / count, gradient.to(logits.dtype)


def linear_cross_entropy(hidden, weight, targets, chunk, softmax=softmax_loss):
    """chunk 0: all logits at once, as plain PyTorch code has them."""
    if chunk == 0:
        return F.cross_entropy((hidden @ weight.T).float(), targets)
    return ChunkedCrossEntropy.apply(hidden, weight, targets, chunk, softmax)
