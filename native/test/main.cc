// Runs every TEST, or those whose name contains an argument; exits with 1 when one failed.
#include <cstring>
#include <exception>

#include "native/test/check.h"

int main(int argc, char** argv) {
    using namespace compact::test;
    int failed = 0;
    int run = 0;
    for (const Case& test : cases()) {
        bool wanted = argc < 2;
        for (int i = 1; i < argc; ++i)
            wanted = wanted || std::strstr(test.name, argv[i]) != nullptr;
        if (!wanted) continue;
        ++run;
        const int before = failures();
        try {
            test.run();
        } catch (const std::exception& error) {
            ++failures();
            std::printf("    threw %s\n", error.what());
        }
        const bool ok = failures() == before;
        failed += ok ? 0 : 1;
        std::printf("%s %s\n", ok ? "ok    " : "FAILED", test.name);
        std::fflush(stdout);
    }
    std::printf("%d tests, %d failed\n", run, failed);
    return failed == 0 && run > 0 ? 0 : 1;
}
