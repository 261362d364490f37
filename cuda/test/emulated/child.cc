#include "cuda/test/emulated/child.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace compact::test {

ChildEnd run_as_child(const char* test, const char* variable, const std::string& value,
                      const char* more) {
    char program[4096] = {};
    int ends[2];
    if (readlink("/proc/self/exe", program, sizeof program - 1) < 0 || pipe(ends) != 0) {
        return {-1, "no child"};
    }
    std::string arguments[] = {program, test};
    std::string variables[] = {variable + ("=" + value), more};
    char* argv[] = {arguments[0].data(), arguments[1].data(), nullptr};
    char* envp[] = {variables[0].data(), variables[1].data(), nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_addclose(&files, ends[0]);
    pid_t child = 0;
    const int failed = posix_spawn(&child, program, &files, nullptr, argv, envp);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    ChildEnd end{-1, ""};
    char text[4096];
    for (ssize_t bytes; failed == 0 && (bytes = read(ends[0], text, sizeof text)) > 0;) {
        end.said.append(text, static_cast<size_t>(bytes));
    }
    close(ends[0]);
    int status = 0;
    if (failed == 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)) {
        end.exit_code = WEXITSTATUS(status);
    }
    return end;
}

}  // namespace compact::test
