// A lock on a file that the operating system frees when its holder ends, however it ends.
//
// It belongs to the open file (flock), so two of one process exclude each other as those of two
// processes do, and child processes do not inherit it. What stands in the file is for people: an
// empty file, or one that a dead process left, is free.
#pragma once

#include <string>

namespace compact {

class FileLock {
  public:
    enum class State {
        kLocked,
        kHeld,         // by another FileLock
        kUnsupported,  // the file system or the platform has no such locks; nothing was changed
        kFailed,
    };

    // Never waits. Makes the file where there is none, for its user alone (mode 0600), and writes
    // `text` into it once it is locked.
    FileLock(const std::string& path, const std::string& text);
    ~FileLock() { close(); }
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

    State state() const { return state_; }
    // What the holder wrote, when it is another; at most 4 KiB.
    const std::string& holder() const { return holder_; }
    // As errno counts, when it failed.
    int error() const { return error_; }

    // Removes the file and gives the lock back. Idempotent.
    void release();

  private:
    bool open_file();
    bool is_at_path() const;
    void fail(int error);
    void close();

    std::string path_;
    int file_ = -1;
    bool made_ = false;
    State state_ = State::kUnsupported;
    std::string holder_;
    int error_ = 0;
};

}  // namespace compact
