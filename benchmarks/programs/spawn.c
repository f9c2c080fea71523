/* Runs `echo task I` for I = 1..N, two at a time: output to out/I, exit codes to the file `codes`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

static pid_t start(int index) {
    char number[16], path[32];
    char *argv[] = {"echo", "task", number, NULL};
    posix_spawn_file_actions_t files;
    pid_t pid;
    snprintf(number, sizeof number, "%d", index);
    snprintf(path, sizeof path, "out/%d", index);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    if (posix_spawnp(&pid, "echo", &files, NULL, argv, environ) != 0) exit(1);
    posix_spawn_file_actions_destroy(&files);
    return pid;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 0, running = 0, failed = 0, status;
    FILE *codes = fopen("codes", "w");
    if (codes == NULL) return 1;
    for (int index = 1; index <= count || running > 0;) {
        if (index <= count && running < 2) {
            start(index++);
            running++;
            continue;
        }
        pid_t pid = wait(&status);
        running--;
        failed += status != 0;
        fprintf(codes, "%d %d\n", (int)pid, WEXITSTATUS(status));
    }
    return fclose(codes) != 0 || failed;
}
