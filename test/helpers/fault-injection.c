/*
 * Faults for a program that knows nothing of them: loaded by LD_PRELOAD, it stands between the program and the C library,
 * numbers every call that changes a file or folder below one of the given folders (1, 2, 3 …), and does something to
 * one of them. Linux with glibc or musl. Reading calls pass, except for the mode `shrink`.
 *
 *   LATHE_FAULT_FOLDERS  absolute paths without links, joined by ':'; calls on anything else are not counted
 *   LATHE_FAULT_LOG      a file outside of them: one line "number kind path" a counted call, written before it happens
 *   LATHE_FAULT_MODE     count        nothing but the log
 *                        fail         call AT returns -1 with ERRNO, once
 *                        full         from call AT on nothing grows any more: the first write is cut in half, those after
 *                                     it and all makings of files and folders fail with ERRNO; the rest goes on
 *                        kill-before  SIGKILL in place of call AT
 *                        kill-midway  SIGKILL after half of the bytes of call AT, if it is a write
 *                        short        every write writes at most half of what it was given
 *                        delay        every call waits for DELAY_MS first
 *                        shrink       before read AT of the file SHRINK, the file is cut to half its size
 *   LATHE_FAULT_AT, LATHE_FAULT_ERRNO, LATHE_FAULT_DELAY_MS, LATHE_FAULT_SHRINK
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum mode { OFF, COUNT, FAIL, FULL, KILL_BEFORE, KILL_MIDWAY, SHORT, DELAY, SHRINK };
enum effect { GROWS = 1, WRITES = 2 };

static const char *const MODE_NAMES[] = {"",           "count",       "fail",  "full", "kill-before",
                                         "kill-midway", "short", "delay", "shrink"};

static enum mode mode = OFF;
static const char *folders = "";
static const char *shrink_path = "";
static long fault_at = 0;
static int fault_errno = EIO;
static long delay_ms = 0;
static int log_fd = -1;
static atomic_long calls = 0;
static atomic_long reads = 0;

static long number_from(const char *name) {
  const char *text = getenv(name);
  return text == NULL ? 0 : strtol(text, NULL, 10);
}

static const char *text_from(const char *name) {
  const char *text = getenv(name);
  return text == NULL ? "" : text;
}

__attribute__((constructor)) static void begin(void) {
  const char *wanted = text_from("LATHE_FAULT_MODE");
  for (int i = COUNT; i <= SHRINK; i++) {
    if (strcmp(wanted, MODE_NAMES[i]) == 0) mode = (enum mode)i;
  }
  folders = text_from("LATHE_FAULT_FOLDERS");
  shrink_path = text_from("LATHE_FAULT_SHRINK");
  fault_at = number_from("LATHE_FAULT_AT");
  delay_ms = number_from("LATHE_FAULT_DELAY_MS");
  if (number_from("LATHE_FAULT_ERRNO") != 0) fault_errno = (int)number_from("LATHE_FAULT_ERRNO");
  const char *log = text_from("LATHE_FAULT_LOG");
  if (log[0] != '\0') log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

/* Whether a path is one of the folders, or lies in one. */
static bool is_watched(const char *path) {
  for (const char *start = folders; *start != '\0';) {
    size_t length = strcspn(start, ":");
    if (length > 0 && strncmp(path, start, length) == 0 && (path[length] == '/' || path[length] == '\0')) return true;
    start += length + (start[length] == ':');
  }
  return false;
}

static bool path_of_fd(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return false;
  path[length] = '\0';
  return true;
}

/* Absolute, by text alone: the program under test names its files that way or relative to its working folder. */
static bool absolute_path(int folder_fd, const char *given, char *path) {
  if (given[0] == '/') return (size_t)snprintf(path, PATH_MAX, "%s", given) < PATH_MAX;
  char folder[PATH_MAX];
  if (folder_fd == AT_FDCWD ? getcwd(folder, sizeof folder) == NULL : !path_of_fd(folder_fd, folder)) return false;
  return (size_t)snprintf(path, PATH_MAX, "%s/%s", folder, given) < PATH_MAX;
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

enum verdict { PASS, REFUSE, HALVE, HALVE_AND_DIE };

/* Numbers a call, logs it, and says what is to become of it. */
static enum verdict judge(const char *kind, int effect, const char *path) {
  if (mode == OFF || !is_watched(path)) return PASS;
  if (mode == SHRINK) return PASS;
  long number = atomic_fetch_add(&calls, 1) + 1;
  if (log_fd >= 0) {
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%ld %s %s\n", number, kind, path);
    if (length > 0) syscall(SYS_write, log_fd, line, (size_t)length);
  }
  switch (mode) {
  case FAIL:
    return number == fault_at ? REFUSE : PASS;
  case FULL:
    if (number < fault_at || (effect & GROWS) == 0) return PASS;
    return number == fault_at && (effect & WRITES) != 0 ? HALVE : REFUSE;
  case KILL_BEFORE:
    if (number == fault_at) die();
    return PASS;
  case KILL_MIDWAY:
    if (number != fault_at) return PASS;
    if ((effect & WRITES) == 0) die();
    return HALVE_AND_DIE;
  case SHORT:
    return (effect & WRITES) != 0 ? HALVE : PASS;
  case DELAY: {
    struct timespec wait = {delay_ms / 1000, delay_ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
    return PASS;
  }
  default:
    return PASS;
  }
}

static enum verdict judge_fd(const char *kind, int effect, int fd) {
  char path[PATH_MAX];
  int before = errno;
  enum verdict verdict = mode != OFF && path_of_fd(fd, path) ? judge(kind, effect, path) : PASS;
  errno = before;
  return verdict;
}

static enum verdict judge_path(const char *kind, int effect, int folder_fd, const char *given) {
  char path[PATH_MAX];
  int before = errno;
  enum verdict verdict = mode != OFF && absolute_path(folder_fd, given, path) ? judge(kind, effect, path) : PASS;
  errno = before;
  return verdict;
}

static int refuse(void) {
  errno = fault_errno;
  return -1;
}

/* The C library's own body of an interposed function. */
#define REAL(name) ((__typeof__(&name))real_function(#name))

static void *real_function(const char *name) {
  void *function = dlsym(RTLD_NEXT, name);
  if (function == NULL) {
    fprintf(stderr, "fault-injection: no %s in the C library\n", name);
    abort();
  }
  return function;
}

/* Half of a write, at least a byte; a write of one byte cannot be cut, nor an empty one. */
static size_t half(size_t length) { return length > 1 ? length / 2 : length; }

#define WRITE_OR_FAULT(kind, fd, length, call_with_length)                                                             \
  do {                                                                                                                 \
    enum verdict verdict = judge_fd(kind, GROWS | WRITES, fd);                                                         \
    if (verdict == REFUSE) return refuse();                                                                            \
    size_t bytes = verdict == PASS ? (length) : half(length);                                                          \
    ssize_t result = call_with_length;                                                                                 \
    if (verdict == HALVE_AND_DIE) die();                                                                               \
    return result;                                                                                                     \
  } while (0)

ssize_t write(int fd, const void *data, size_t length) {
  WRITE_OR_FAULT("write", fd, length, REAL(write)(fd, data, bytes));
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
  WRITE_OR_FAULT("write", fd, length, REAL(pwrite)(fd, data, bytes, offset));
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
  WRITE_OR_FAULT("write", fd, length, REAL(pwrite64)(fd, data, bytes, offset));
}

/* Of several buffers the first alone is written where a write is to be cut. */
#define WRITE_BUFFERS_OR_FAULT(fd, count, whole, first)                                                                \
  do {                                                                                                                 \
    enum verdict verdict = (count) > 0 ? judge_fd("write", GROWS | WRITES, fd) : PASS;                                 \
    if (verdict == REFUSE) return refuse();                                                                            \
    if (verdict == PASS) return whole;                                                                                 \
    ssize_t result = first;                                                                                            \
    if (verdict == HALVE_AND_DIE) die();                                                                               \
    return result;                                                                                                     \
  } while (0)

ssize_t writev(int fd, const struct iovec *buffers, int count) {
  WRITE_BUFFERS_OR_FAULT(fd, count, REAL(writev)(fd, buffers, count),
                         REAL(write)(fd, buffers[0].iov_base, half(buffers[0].iov_len)));
}

ssize_t pwritev(int fd, const struct iovec *buffers, int count, off_t offset) {
  WRITE_BUFFERS_OR_FAULT(fd, count, REAL(pwritev)(fd, buffers, count, offset),
                         REAL(pwrite)(fd, buffers[0].iov_base, half(buffers[0].iov_len), offset));
}

ssize_t pwritev64(int fd, const struct iovec *buffers, int count, off64_t offset) {
  WRITE_BUFFERS_OR_FAULT(fd, count, REAL(pwritev64)(fd, buffers, count, offset),
                         REAL(pwrite64)(fd, buffers[0].iov_base, half(buffers[0].iov_len), offset));
}

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags) {
  WRITE_OR_FAULT("copy", to, length, REAL(copy_file_range)(from, from_offset, to, to_offset, bytes, flags));
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t length) {
  WRITE_OR_FAULT("copy", to, length, REAL(sendfile64)(to, from, offset, bytes));
}

#define CALL_OR_FAULT(verdict_of_call, call)                                                                           \
  do {                                                                                                                 \
    if ((verdict_of_call) == REFUSE) return refuse();                                                                  \
    return call;                                                                                                       \
  } while (0)

int ftruncate(int fd, off_t length) {
  CALL_OR_FAULT(judge_fd("truncate", GROWS, fd), REAL(ftruncate)(fd, length));
}

int ftruncate64(int fd, off64_t length) {
  CALL_OR_FAULT(judge_fd("truncate", GROWS, fd), REAL(ftruncate64)(fd, length));
}

int fsync(int fd) { CALL_OR_FAULT(judge_fd("sync", 0, fd), REAL(fsync)(fd)); }

int fdatasync(int fd) { CALL_OR_FAULT(judge_fd("sync", 0, fd), REAL(fdatasync)(fd)); }

/* A rename counts where either name is watched. */
static enum verdict judge_rename(int from_fd, const char *from, int to_fd, const char *to) {
  char path[PATH_MAX];
  bool is_from = absolute_path(from_fd, from, path) && is_watched(path);
  return is_from ? judge_path("rename", 0, from_fd, from) : judge_path("rename", 0, to_fd, to);
}

int rename(const char *from, const char *to) {
  CALL_OR_FAULT(judge_rename(AT_FDCWD, from, AT_FDCWD, to), REAL(rename)(from, to));
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
  CALL_OR_FAULT(judge_rename(from_fd, from, to_fd, to), REAL(renameat)(from_fd, from, to_fd, to));
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
  CALL_OR_FAULT(judge_rename(from_fd, from, to_fd, to), REAL(renameat2)(from_fd, from, to_fd, to, flags));
}

/* A folder that is there already is no new one: the kernel says so before it could fail. */
static enum verdict judge_mkdir(int folder_fd, const char *path) {
  int before = errno;
  bool is_there = faccessat(folder_fd, path, F_OK, 0) == 0;
  errno = before;
  return is_there ? PASS : judge_path("mkdir", GROWS, folder_fd, path);
}

int mkdir(const char *path, mode_t rights) {
  CALL_OR_FAULT(judge_mkdir(AT_FDCWD, path), REAL(mkdir)(path, rights));
}

int mkdirat(int folder_fd, const char *path, mode_t rights) {
  CALL_OR_FAULT(judge_mkdir(folder_fd, path), REAL(mkdirat)(folder_fd, path, rights));
}

int unlink(const char *path) { CALL_OR_FAULT(judge_path("unlink", 0, AT_FDCWD, path), REAL(unlink)(path)); }

int unlinkat(int folder_fd, const char *path, int flags) {
  CALL_OR_FAULT(judge_path("unlink", 0, folder_fd, path), REAL(unlinkat)(folder_fd, path, flags));
}

int rmdir(const char *path) { CALL_OR_FAULT(judge_path("rmdir", 0, AT_FDCWD, path), REAL(rmdir)(path)); }

/* Only what makes or empties a file counts; the rights are there only if a file may be made. */
#define OPEN_OR_FAULT(name, folder_fd, path, flags, ...)                                                               \
  do {                                                                                                                 \
    mode_t rights = 0;                                                                                                 \
    if (((flags) & (O_CREAT | __O_TMPFILE)) != 0) {                                                                    \
      va_list arguments;                                                                                               \
      va_start(arguments, flags);                                                                                      \
      rights = va_arg(arguments, mode_t);                                                                              \
      va_end(arguments);                                                                                               \
    }                                                                                                                  \
    if (((flags) & (O_CREAT | O_TRUNC)) != 0 && judge_path("open", GROWS, folder_fd, path) == REFUSE) return refuse(); \
    return REAL(name)(__VA_ARGS__, flags, rights);                                                                     \
  } while (0)

int open(const char *path, int flags, ...) { OPEN_OR_FAULT(open, AT_FDCWD, path, flags, path); }

int open64(const char *path, int flags, ...) { OPEN_OR_FAULT(open64, AT_FDCWD, path, flags, path); }

int openat(int folder_fd, const char *path, int flags, ...) {
  OPEN_OR_FAULT(openat, folder_fd, path, flags, folder_fd, path);
}

int openat64(int folder_fd, const char *path, int flags, ...) {
  OPEN_OR_FAULT(openat64, folder_fd, path, flags, folder_fd, path);
}

int creat(const char *path, mode_t rights) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, rights); }

int creat64(const char *path, mode_t rights) { return open64(path, O_CREAT | O_WRONLY | O_TRUNC, rights); }

static void shrink_before_read(int fd) {
  char path[PATH_MAX];
  if (mode != SHRINK || !path_of_fd(fd, path) || strcmp(path, shrink_path) != 0) return;
  if (atomic_fetch_add(&reads, 1) + 1 != fault_at) return;
  struct stat facts;
  if (fstat(fd, &facts) == 0 && truncate(path, facts.st_size / 2) == 0) return;
  fprintf(stderr, "fault-injection: could not cut %s\n", path);
  abort();
}

ssize_t pread(int fd, void *data, size_t length, off_t offset) {
  shrink_before_read(fd);
  return REAL(pread)(fd, data, length, offset);
}

ssize_t pread64(int fd, void *data, size_t length, off64_t offset) {
  shrink_before_read(fd);
  return REAL(pread64)(fd, data, length, offset);
}

ssize_t read(int fd, void *data, size_t length) {
  shrink_before_read(fd);
  return REAL(read)(fd, data, length);
}
