// A very small test frame: TEST(name) registers a function, CHECK records a failure and goes on.
#pragma once

#include <cstdio>
#include <vector>

namespace compact::test {

struct Case {
    const char* name;
    void (*run)();
};

inline std::vector<Case>& cases() {
    static std::vector<Case> all;
    return all;
}

inline int& failures() {
    static int count = 0;
    return count;
}

struct Registration {
    Registration(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

inline bool check(bool holds, const char* text, const char* file, int line) {
    if (!holds) {
        ++failures();
        std::printf("    %s:%d: CHECK(%s) failed\n", file, line, text);
    }
    return holds;
}

}  // namespace compact::test

#define TEST(name)                                                                      \
    static void test_##name();                                                          \
    static const ::compact::test::Registration registration_##name(#name, test_##name); \
    static void test_##name()

#define CHECK(condition) ::compact::test::check((condition), #condition, __FILE__, __LINE__)
