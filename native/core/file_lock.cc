#include "native/core/file_lock.h"

#include <cerrno>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace compact {

#if defined(__unix__) || defined(__APPLE__)

namespace {

constexpr int kAttempts = 100;
constexpr size_t kHolderBytes = 4096;

int try_lock(int file) {
    while (flock(file, LOCK_EX | LOCK_NB) != 0)
        if (errno != EINTR) return errno;
    return 0;
}

bool is_unsupported(int error) {
    return error == ENOLCK || error == EOPNOTSUPP || error == ENOTSUP || error == ENOSYS ||
           error == EINVAL;
}

std::string read_start(int file) {
    std::string text(kHolderBytes, '\0');
    const ssize_t count = pread(file, text.data(), text.size(), 0);
    text.resize(count > 0 ? static_cast<size_t>(count) : 0);
    return text;
}

// On a full disk the file stays empty; it is locked all the same.
void write_whole(int file, const std::string& text) {
    if (ftruncate(file, 0) != 0) return;
    [[maybe_unused]] const ssize_t written = pwrite(file, text.data(), text.size(), 0);
}

}  // namespace

FileLock::FileLock(const std::string& path, const std::string& text) : path_(path) {
    // A holder that goes removes its file: whoever has opened that file begins again.
    for (int i = 0; i < kAttempts; ++i) {
        if (!open_file()) return;
        const int error = try_lock(file_);
        if (error == EWOULDBLOCK) {
            holder_ = read_start(file_);
            state_ = State::kHeld;
            close();
            return;
        }
        if (error != 0) {
            if (made_) unlink(path_.c_str());
            if (!is_unsupported(error)) fail(error);
            close();
            return;
        }
        if (is_at_path()) {
            write_whole(file_, text);
            state_ = State::kLocked;
            return;
        }
        close();
    }
    fail(EBUSY);
}

// Opens nothing but an ordinary file: a link would lead elsewhere, a pipe would wait.
bool FileLock::open_file() {
    constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    for (int i = 0; i < kAttempts; ++i) {
        file_ = open(path_.c_str(), kFlags);
        made_ = file_ < 0 && errno == ENOENT;
        if (made_) file_ = open(path_.c_str(), kFlags | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
        if (file_ >= 0 || !(made_ && errno == EEXIST)) break;
    }
    struct stat status {};
    if (file_ < 0 || fstat(file_, &status) != 0) {
        fail(errno);
        return false;
    }
    if (S_ISREG(status.st_mode)) return true;
    fail(EEXIST);
    return false;
}

bool FileLock::is_at_path() const {
    struct stat ours {};
    struct stat there {};
    return fstat(file_, &ours) == 0 && lstat(path_.c_str(), &there) == 0 &&
           ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

void FileLock::fail(int error) {
    error_ = error;
    state_ = State::kFailed;
    close();
}

void FileLock::release() {
    if (file_ >= 0 && is_at_path()) unlink(path_.c_str());
    close();
}

void FileLock::close() {
    if (file_ < 0) return;
    // A child that has not started its program yet shares the open file: closing alone would not
    // free it.
    flock(file_, LOCK_UN);
    ::close(std::exchange(file_, -1));
}

#else

FileLock::FileLock(const std::string& path, const std::string&) : path_(path) {}
void FileLock::release() {}
void FileLock::close() {}

#endif

}  // namespace compact
