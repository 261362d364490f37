// What the command line of the tests says (main.cc).
#pragma once

#include <string>
#include <vector>

namespace compact::test {

struct Options {
    // Tests of tensors with more elements than 32 bits count.
    bool large = false;
    bool json = false;
    int shard = 0, shards = 1;       // --shard 1/2: the first half, every second test
    std::vector<std::string> names;  // parts of names of tests; none: all
};

const Options& options();

// Ends the report of the running test with a reason why it could not run.
void skip(const std::string& reason);

}  // namespace compact::test
