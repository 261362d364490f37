#include "native/core/graph_choice.h"

#include <algorithm>

#include "native/core/error.h"

namespace compact {
namespace {

constexpr size_t kTimedRuns = 3;

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

void note_time(std::vector<double>& times, int64_t runs_before, double milliseconds) {
    if (runs_before > 0 && times.size() < kTimedRuns) times.push_back(milliseconds);
}

}  // namespace

GraphMode graph_mode(const std::string& name) {
    if (name == "off") return GraphMode::kOff;
    if (name == "on") return GraphMode::kOn;
    if (name == "auto") return GraphMode::kAuto;
    throw Error("ERR_COMPACT_ARGUMENT", "graphs", "off, on or auto", name);
}

bool GraphChoice::Entry::is_measured() const { return recorded_ms.size() == kTimedRuns; }

bool GraphChoice::Entry::is_faster_recorded() const {
    return median(recorded_ms) <= median(plain_ms);
}

void GraphChoice::reset(const std::vector<std::string>& entries) {
    const std::lock_guard lock(mutex_);
    entries_.clear();
    for (const std::string& name : entries) entries_.push_back({name, 0, 0, {}, {}, {}});
}

bool GraphChoice::is_recorded(size_t entry) const {
    const std::lock_guard lock(mutex_);
    return is_recorded(entries_[entry]);
}

bool GraphChoice::is_recorded(const Entry& entry) const {
    if (mode_ == GraphMode::kOff || !entry.problem.empty() || entry.plain_runs == 0) return false;
    if (mode_ == GraphMode::kOn) return true;
    if (entry.is_measured()) return entry.is_faster_recorded();
    return entry.plain_ms.size() == kTimedRuns;
}

void GraphChoice::note(size_t entry, bool recorded, double milliseconds) {
    const std::lock_guard lock(mutex_);
    Entry& noted = entries_[entry];
    if (recorded) {
        note_time(noted.recorded_ms, noted.recorded_runs++, milliseconds);
    } else {
        note_time(noted.plain_ms, noted.plain_runs++, milliseconds);
    }
}

void GraphChoice::refuse(size_t entry, const std::string& problem) {
    const std::lock_guard lock(mutex_);
    entries_[entry].problem = problem;
}

std::vector<EntryGraphs> GraphChoice::report() const {
    const std::lock_guard lock(mutex_);
    std::vector<EntryGraphs> result;
    for (const Entry& entry : entries_) {
        const bool undecided = mode_ == GraphMode::kAuto && !entry.is_measured();
        const char* state = mode_ == GraphMode::kOff || !entry.problem.empty()      ? "off"
                            : undecided                                             ? "measuring"
                            : mode_ == GraphMode::kOn || entry.is_faster_recorded() ? "on"
                                                                                    : "off";
        result.push_back({entry.name, state, entry.plain_ms.empty() ? 0.0 : median(entry.plain_ms),
                          entry.recorded_ms.empty() ? 0.0 : median(entry.recorded_ms),
                          entry.problem});
    }
    return result;
}

}  // namespace compact
