// Refusals of the conditions that an op's signature cannot say, with the numbers in the message.
// The same for every backend.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "native/backend/call.h"

namespace compact {

// ---- Words -------------------------------------------------------------------------------------

struct Message {
    char text[192];
};

// A format whose conversions are all %lld.
template <class... Integers>
inline Message message(const char* format, Integers... values) {
    Message result;
    std::snprintf(result.text, sizeof result.text, format, static_cast<long long>(values)...);
    return result;
}

inline CpStatus fail_shape(CpError* error, const char* op, const Message& expected,
                           const Message& received) {
    return fail(error, "ERR_COMPACT_SHAPE", op, expected.text, received.text);
}

// An index that must lie in [0, count): ids of tokens, targets, rows.
inline CpStatus fail_index(CpError* error, const char* op, const char* what, int64_t count,
                           int64_t index, int64_t position) {
    Message expected;
    std::snprintf(expected.text, sizeof expected.text, "%s from 0 to %lld", what,
                  static_cast<long long>(count - 1));
    return fail(error, "ERR_COMPACT_INDEX", op, expected.text,
                message("%lld at position %lld", index, position).text);
}

// Reads an attribute that shapes depend on: a constant integer of at least `minimum`.
inline CpStatus constant_integer(const CpCall& call, const char* op, const char* name,
                                 int64_t minimum, int64_t* value, CpError* error) {
    for (int32_t i = 0; i < call.num_attributes; ++i) {
        const CpAttribute& found = call.attributes[i];
        if (std::strcmp(found.name, name) != 0) continue;
        const bool integer = std::floor(found.value) == found.value && found.value < 0x1p53;
        if (found.scalar_slot < 0 && integer && found.value >= static_cast<double>(minimum)) {
            *value = static_cast<int64_t>(found.value);
            return CP_OK;
        }
        Message expected, received;
        std::snprintf(expected.text, sizeof expected.text, "%s a constant integer of at least %lld",
                      name, static_cast<long long>(minimum));
        std::snprintf(received.text, sizeof received.text, "%g%s", found.value,
                      found.scalar_slot < 0 ? "" : " from a runtime scalar");
        return fail(error, "ERR_COMPACT_ARGUMENT", op, expected.text, received.text);
    }
    return fail(error, "ERR_COMPACT_ARGUMENT", op, name, "no such attribute");
}

// ---- Ops ---------------------------------------------------------------------------------------

inline CpStatus check_rope(const CpCall* call, CpError* error) {
    int64_t head_size = 0;
    if (constant_integer(*call, "rope", "headSize", 2, &head_size, error) != CP_OK) {
        return CP_FAILED;
    }
    const int64_t rows = call->inputs[0].shape[0], width = call->inputs[0].shape[1];
    const int64_t positions = call->inputs[1].shape[0], half = call->inputs[1].shape[1];
    if (head_size % 2 != 0 || width % head_size != 0) {
        return fail_shape(error, "rope", message("an even divisor of the width %lld", width),
                          message("headSize %lld", head_size));
    }
    if (half != head_size / 2) {
        return fail_shape(error, "rope",
                          message("tables of headSize/2 = %lld columns", head_size / 2),
                          message("%lld columns", half));
    }
    const bool follows = call->inputs[3].num_dims == 0;  // positions follow from the row
    if (follows && rows > positions && rows % positions != 0) {
        return fail_shape(error, "rope", message("whole sequences of %lld positions", positions),
                          message("%lld rows", rows));
    }
    return CP_OK;
}

inline constexpr int64_t kMaxHeadSize = 256;

// Whole heads of q, k and v.
inline CpStatus check_heads(const char* op, int64_t head_size, int64_t width, int64_t kv_width,
                            CpError* error) {
    if (head_size % 8 != 0 || head_size > kMaxHeadSize) {
        return fail_shape(error, op,
                          message("a headSize that is a multiple of 8 up to %lld", kMaxHeadSize),
                          message("headSize %lld", head_size));
    }
    if (width % head_size != 0 || kv_width % head_size != 0 || width % kv_width != 0) {
        return fail_shape(error, op,
                          message("whole heads of %lld, heads a multiple of kv heads", head_size),
                          message("q width %lld, k width %lld", width, kv_width));
    }
    return CP_OK;
}

// Keys that a query of attention sees, up to its own place; 0 where it sees all of its sequence.
inline int64_t attention_window(const CpCall& call) {
    const double window = attribute(call, "window");
    return window < attribute(call, "sequenceLength") ? static_cast<int64_t>(window) : 0;
}

inline CpStatus check_attention(const CpCall* call, const char* op, const CpTensor& lse,
                                CpError* error) {
    int64_t length = 0, head_size = 0, causal = 0, window = 0;
    if (constant_integer(*call, op, "sequenceLength", 1, &length, error) != CP_OK ||
        constant_integer(*call, op, "headSize", 8, &head_size, error) != CP_OK ||
        constant_integer(*call, op, "causal", 0, &causal, error) != CP_OK ||
        constant_integer(*call, op, "window", 0, &window, error) != CP_OK) {
        return CP_FAILED;
    }
    const int64_t tokens = call->inputs[0].shape[0], width = call->inputs[0].shape[1];
    if (check_heads(op, head_size, width, call->inputs[1].shape[1], error) != CP_OK) {
        return CP_FAILED;
    }
    if (lse.shape[1] != width / head_size) {
        return fail_shape(error, op, message("lse of %lld heads", width / head_size),
                          message("%lld", lse.shape[1]));
    }
    if (tokens % length != 0) {
        return fail_shape(error, op, message("whole sequences of %lld tokens", length),
                          message("%lld tokens", tokens));
    }
    return CP_OK;
}

inline CpStatus check_linear_cross_entropy(const CpCall* call, const char* op, CpError* error) {
    int64_t chunk = 0;
    return constant_integer(*call, op, "chunkTokens", 1, &chunk, error);
}

inline CpStatus check_linear_cross_entropy_rows(const CpCall* call, const char* op,
                                                CpError* error) {
    int64_t first = 0;
    if (constant_integer(*call, op, "first", 0, &first, error) != CP_OK) return CP_FAILED;
    return check_linear_cross_entropy(call, op, error);
}

// `of_sequences` has an element for each sequence of the tokens.
inline CpStatus check_linear_log_probabilities(const CpCall* call, const char* op,
                                               const CpTensor& of_sequences, CpError* error) {
    int64_t length = 0;
    if (constant_integer(*call, op, "sequenceLength", 1, &length, error) != CP_OK) return CP_FAILED;
    const int64_t tokens = call->inputs[0].shape[0], sequences = of_sequences.shape[0];
    if (tokens % length != 0 || sequences != tokens / length) {
        return fail_shape(error, op, message("%lld sequences of %lld tokens", sequences, length),
                          message("%lld tokens", tokens));
    }
    return check_linear_cross_entropy(call, op, error);
}

inline CpStatus check_linear_log_probabilities_rows(const CpCall* call, const char* op,
                                                    const CpTensor& of_sequences, CpError* error) {
    int64_t first = 0;
    if (constant_integer(*call, op, "first", 0, &first, error) != CP_OK) return CP_FAILED;
    return check_linear_log_probabilities(call, op, of_sequences, error);
}

inline CpStatus check_preference_loss(const CpCall* call, const char* op, CpError* error) {
    const int64_t sequences = call->inputs[0].shape[0];
    if (sequences % 2 == 0) return CP_OK;
    return fail(error, "ERR_COMPACT_SHAPE", op, "an even number of sequences",
                message("%lld", sequences).text);
}

// Rows [first, first + rows of dTable) of a table of `numIds` rows; 0: of all rows.
inline CpStatus check_embedding_backward(const CpCall* call, CpError* error) {
    const char* op = "embeddingBackward";
    int64_t first = 0, num_ids = 0;
    if (constant_integer(*call, op, "first", 0, &first, error) != CP_OK ||
        constant_integer(*call, op, "numIds", 0, &num_ids, error) != CP_OK) {
        return CP_FAILED;
    }
    const int64_t end = first + call->outputs[0].shape[0];
    if (num_ids == 0 ? first == 0 : end <= num_ids) return CP_OK;
    return fail_shape(error, op, message("rows within a table of %lld", num_ids),
                      message("rows %lld to %lld", first, end));
}

// Ids of the table whose rows the gradient is of.
inline int64_t ids_of_embedding(const CpCall& call) {
    const auto num_ids = static_cast<int64_t>(attribute(call, "numIds"));
    return num_ids == 0 ? call.outputs[0].shape[0] : num_ids;
}

// Whose norms: those of the matrix, of its columns or of its rows.
inline CpStatus check_norms(const CpCall* call, const char* op, CpError* error) {
    int64_t of = 0;
    if (constant_integer(*call, op, "of", 0, &of, error) != CP_OK) return CP_FAILED;
    if (of <= 2) return CP_OK;
    return fail(error, "ERR_COMPACT_ARGUMENT", op, "norms of 0, 1 or 2", message("%lld", of).text);
}

// firstRows: the rows of `whole` are as many equal parts as `first` has rows.
inline CpStatus check_parts(const CpTensor& whole, const CpTensor& first, const char* op,
                            CpError* error) {
    const int64_t rows = whole.shape[0], parts = first.shape[0];
    if (parts > 0 && rows % parts == 0) return CP_OK;
    return fail_shape(error, op, message("a number of parts that divides %lld rows", rows),
                      message("%lld", parts));
}

// quantize and dequantize: `scales` holds one number for each group of `elements`.
inline CpStatus check_groups(const CpCall* call, const char* op, const CpTensor& elements,
                             const CpTensor& scales, CpError* error) {
    int64_t group_size = 0;
    if (constant_integer(*call, op, "groupSize", 1, &group_size, error) != CP_OK) return CP_FAILED;
    const int64_t groups = (num_elements(elements) + group_size - 1) / group_size;
    if (scales.shape[0] != groups) {
        return fail_shape(error, op, message("%lld scales", groups),
                          message("%lld scales", scales.shape[0]));
    }
    return CP_OK;
}

}  // namespace compact
