#include "native/core/rows_request.h"

#include <string>

#include "native/backend/call.h"
#include "native/core/error.h"

namespace compact {
namespace {

std::string text(int64_t number) { return std::to_string(number); }

void require(bool holds, const PlanValue& value, const std::string& expected,
             const std::string& received) {
    if (!holds) throw Error("ERR_COMPACT_ARGUMENT", value.name, expected, received);
}

}  // namespace

CheckedRows::CheckedRows(const PlanValue& value, const RowsRequest& request)
    : dtype_(value.dtype), element_bytes_(dtype_bytes(value.dtype)) {
    if (!can_place(request.dtype, value.dtype))
        throw Error("ERR_COMPACT_TYPE", value.name, "numbers that become those of the value",
                    "others");
    const int64_t source_bytes = dtype_bytes(request.dtype);
    const auto num_bytes = static_cast<int64_t>(request.bytes.size());
    const int64_t numbers = num_bytes / source_bytes, stride = request.stride;
    const bool is_whole = stride >= 1 && num_bytes % source_bytes == 0 && numbers % stride == 0;
    require(is_whole, value, "whole rows of at least one number",
            text(num_bytes) + " bytes in rows of " + text(stride) + " numbers");
    require(
        reinterpret_cast<uintptr_t>(request.bytes.data()) % static_cast<uintptr_t>(source_bytes) ==
            0,
        value, "rows that are aligned to their numbers", "others");
    const int64_t first = request.first_column, columns = request.num_columns;
    require(columns >= 1 && columns <= stride && first >= 0 && first <= stride - columns, value,
            "columns of rows of " + text(stride), text(columns) + " from " + text(first));
    const int64_t elements = value.bytes / element_bytes_, num_rows = numbers / stride;
    require(elements % columns == 0, value, "rows of which the value is made",
            text(columns) + " columns of " + text(elements) + " numbers");
    const int64_t all_rows = elements / columns;
    require(request.first_row >= 0 && request.first_row <= all_rows &&
                num_rows <= all_rows - request.first_row,
            value, "rows of " + text(all_rows),
            text(num_rows) + " from " + text(request.first_row));

    rows_ = {request.bytes.data(), request.dtype, num_rows, columns, stride, request.is_turned};
    target_stride_ = request.is_turned ? all_rows : columns;
    byte_offset_ = request.first_row * (request.is_turned ? 1 : columns) * element_bytes_;
    // Numbers one behind the other are rows of one number as well.
    if (!request.is_turned && columns == stride) {
        rows_.num_rows = numbers;
        rows_.num_columns = rows_.stride = target_stride_ = 1;
    }
    rows_.data = request.bytes.data() + first * source_bytes;
    const int64_t row_bytes = source().row_bytes;
    require(row_bytes <= CP_MAX_ROW_BYTES, value,
            "rows of at most " + text(CP_MAX_ROW_BYTES) + " bytes in the value",
            text(row_bytes) + " bytes");
}

CpRowSource CheckedRows::source() const {
    const int64_t num_rows = rows_.is_turned ? rows_.num_columns : rows_.num_rows;
    const int64_t numbers = rows_.is_turned ? rows_.num_rows : rows_.num_columns;
    return {make, this, num_rows, numbers * element_bytes_};
}

void CheckedRows::make(const void* self, int64_t first, int64_t count, void* target,
                       int64_t stride) {
    const auto& checked = *static_cast<const CheckedRows*>(self);
    const Rows rows = some_rows(checked.rows_, first, count);
    if (!place_rows(rows, checked.dtype_, target, stride / checked.element_bytes_))
        checked.finite_ = false;
}

}  // namespace compact
