// Which runs of a plan's entries are recorded as graphs, and what came of it.
//
// The first run of an entry is never recorded: modules are loaded and algorithms chosen in it. With
// `auto` three further runs are timed as they are, then three recorded ones behind one that makes
// the graph; the entry stays with the faster by median. The choice decides speed alone: results are
// the same.
//
// Every member may be called from any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace compact {

enum class GraphMode { kOff, kOn, kAuto };

// Throws ERR_COMPACT_ARGUMENT.
GraphMode graph_mode(const std::string& name);

struct EntryGraphs {
    std::string entry;
    std::string state;         // "off", "measuring", "on"
    double plain_ms = 0.0;     // median, once measured
    double recorded_ms = 0.0;  // median, once measured
    std::string problem;       // why the entry cannot be recorded
};

class GraphChoice {
  public:
    explicit GraphChoice(GraphMode mode) : mode_(mode) {}

    // Another plan, whose entries have never run.
    void reset(const std::vector<std::string>& entries);
    // Whether the next run is to be recorded.
    bool is_recorded(size_t entry) const;
    // A run has ended well.
    void note(size_t entry, bool recorded, double milliseconds);
    // It could not be recorded, and will not be again.
    void refuse(size_t entry, const std::string& problem);

    std::vector<EntryGraphs> report() const;

  private:
    struct Entry {
        std::string name;
        int64_t plain_runs = 0, recorded_runs = 0;
        std::vector<double> plain_ms, recorded_ms;  // of the runs that are timed
        std::string problem;

        bool is_measured() const;
        bool is_faster_recorded() const;
    };
    bool is_recorded(const Entry& entry) const;

    const GraphMode mode_;
    mutable std::mutex mutex_;
    std::vector<Entry> entries_;
};

}  // namespace compact
