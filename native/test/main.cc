// Runs every TEST, or those whose name contains an argument; exits with 1 when one failed.
//
//   [--reduced] [part of a name ...]
#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <vector>

#include "native/test/check.h"

int main(int argc, char** argv) {
    using namespace compact::test;
    std::vector<const char*> parts;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--reduced") == 0) {
            is_reduced() = true;
        } else {
            parts.push_back(argv[i]);
        }
    }
    int failed = 0;
    int run = 0;
    for (const Case& test : cases()) {
        const auto names_it = [&](const char* part) { return std::strstr(test.name, part); };
        if (!parts.empty() && std::none_of(parts.begin(), parts.end(), names_it)) continue;
        ++run;
        const int before = failures();
        const auto begin = std::chrono::steady_clock::now();
        try {
            test.run();
        } catch (const std::exception& error) {
            ++failures();
            std::printf("    threw %s\n", error.what());
        }
        const bool ok = failures() == before;
        failed += ok ? 0 : 1;
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        std::printf("%s %-50s %6.2f s\n", ok ? "ok    " : "FAILED", test.name, took.count());
        std::fflush(stdout);
    }
    std::printf("%d tests, %d failed\n", run, failed);
    return failed == 0 && run > 0 ? 0 : 1;
}
