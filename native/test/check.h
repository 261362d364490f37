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

// Sizes that a sanitizer can afford (--reduced): every kernel still runs.
inline bool& is_reduced() {
    static bool reduced = false;
    return reduced;
}

// `all` or, for a sanitizer, those of the positions given.
template <class T>
std::vector<T> sizes(const std::vector<T>& all, const std::vector<size_t>& of_reduced) {
    if (!is_reduced()) return all;
    std::vector<T> few;
    for (size_t i : of_reduced) few.push_back(all[i]);
    return few;
}

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
