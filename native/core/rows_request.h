// Rows of a matrix that are written into a value, checked against it.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "native/core/place_rows.h"
#include "native/core/plan.h"

namespace compact {

// Rows as they lie on the host, and which of a matrix they are. The value holds the whole matrix,
// or the whole matrix turned round.
struct RowsRequest {
    std::span<const uint8_t> bytes;  // whole rows, aligned to their numbers
    int32_t dtype = CP_F32;          // CpDtype; see can_place()
    int64_t stride = 1;              // numbers of a row
    int64_t first_column = 0;        // of those that are the matrix's
    int64_t num_columns = 1;
    int64_t first_row = 0;  // rows of the matrix that come before
    bool is_turned = false;
};

class CheckedRows {
  public:
    // Throws ERR_COMPACT_ARGUMENT, or ERR_COMPACT_TYPE for a dtype that does not become the
    // value's.
    CheckedRows(const PlanValue& value, const RowsRequest& request);
    CheckedRows(const CheckedRows&) = delete;
    CheckedRows& operator=(const CheckedRows&) = delete;

    // Where the first of them belongs, and how far one is from the next; in bytes.
    int64_t byte_offset() const { return byte_offset_; }
    int64_t stride() const { return target_stride_ * element_bytes_; }
    // As long as this object.
    CpRowSource source() const;
    // Of those that have been made.
    bool are_finite() const { return finite_; }

  private:
    static void make(const void* self, int64_t first, int64_t count, void* target, int64_t stride);

    Rows rows_;
    int32_t dtype_;
    int64_t element_bytes_;
    int64_t byte_offset_ = 0;
    int64_t target_stride_ = 0;
    mutable std::atomic<bool> finite_{true};
};

}  // namespace compact
