// This program again, with one test: what ends a process can be tested in no other way.
#pragma once

#include <string>

namespace compact::test {

struct ChildEnd {
    int exit_code;     // -1 where a signal ended it
    std::string said;  // on standard error
};

// Runs the test of that name, which finds what it is to do in `variable`, and `more` (NAME=value)
// beside it.
ChildEnd run_as_child(const char* test, const char* variable, const std::string& value,
                      const char* more = "COMPACT_TEST=1");

}  // namespace compact::test
