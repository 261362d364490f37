// What the command line of the tests says (main.cc).
#pragma once

#include <string>
#include <vector>

namespace compact::test {

struct Options {
    // Sizes that a sanitizer can afford, one order of threads. Every kernel still runs.
    bool reduced = false;
    // Tests of tensors with more elements than 32 bits count.
    bool large = false;
    bool json = false;
    std::vector<std::string> names;  // parts of names of tests; none: all
};

const Options& options();

// Ends the report of the running test with a reason why it could not run.
void skip(const std::string& reason);

// `all` or, for a sanitizer, those of the positions given.
template <class T>
std::vector<T> sizes(const std::vector<T>& all, const std::vector<size_t>& of_reduced) {
    if (!options().reduced) return all;
    std::vector<T> few;
    for (size_t i : of_reduced) few.push_back(all[i]);
    return few;
}

}  // namespace compact::test
