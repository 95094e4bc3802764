// The info log of a database, the file LOG in its directory.
//
// RocksDB's own aborts the process on a full disk where assertions are on, as in
// Debian's library: it appends to a file after an append that failed. This one
// leaves out what does not fit.
#include <fcntl.h>
#include <rocksdb/env.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <mutex>

#include "db.h"

namespace {

constexpr off_t kMaxBytes = 4 << 20;  // of LOG; with LOG.old twice that per database
constexpr size_t kMaxLine = 4096;

class InfoLog final : public rocksdb::Logger {
 public:
  explicit InfoLog(const std::string& dir) : Logger(rocksdb::WARN_LEVEL), path_(dir + "/LOG") {}
  ~InfoLog() override { Shut(); }

  // The settings, at each opening.
  void LogHeader(const char* format, va_list ap) override { Logv(format, ap); }

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list ap) override {
    char line[kMaxLine];
    size_t n = Stamp(line);
    const size_t room = sizeof line - n - 1;
    const int text = vsnprintf(line + n, room, format, ap);
    if (text < 0) return;
    n += std::min(static_cast<size_t>(text), room - 1);
    if (line[n - 1] != '\n') line[n++] = '\n';
    std::lock_guard<std::mutex> lock(mu_);
    if (!Ready()) return;
    const ssize_t wrote = write(fd_, line, n);
    if (wrote > 0) size_ += wrote;
  }

 private:
  static size_t Stamp(char* line) {
    timeval now;
    gettimeofday(&now, nullptr);
    tm t;
    localtime_r(&now.tv_sec, &t);
    return static_cast<size_t>(snprintf(line, 64, "%04d/%02d/%02d-%02d:%02d:%02d.%06d ", t.tm_year + 1900, t.tm_mon + 1,
                                        t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, static_cast<int>(now.tv_usec)));
  }

  // Opens the file at the first line, and puts it aside when it is long.
  bool Ready() {
    if (fd_ >= 0 && size_ >= kMaxBytes) {
      Shut();
      if (rename(path_.c_str(), (path_ + ".old").c_str()) != 0) return false;
    }
    if (fd_ >= 0) return true;
    fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    struct stat s;
    size_ = fd_ >= 0 && fstat(fd_, &s) == 0 ? s.st_size : 0;
    return fd_ >= 0;
  }

  void Shut() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  const std::string path_;
  std::mutex mu_;
  int fd_ = -1;
  off_t size_ = 0;
};

}  // namespace

std::shared_ptr<rocksdb::Logger> NewInfoLog(const std::string& dir) { return std::make_shared<InfoLog>(dir); }
