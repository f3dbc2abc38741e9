// SPDX-License-Identifier: Apache-2.0

/// A config with one thing wrong, and what is said of it.
struct BadConfig: Sendable, CustomStringConvertible {
  let text: String
  let issue: String

  init(_ text: String, _ issue: String) {
    self.text = text
    self.issue = issue
  }

  var description: String { issue }

  static let all: [BadConfig] = [
    unknownKeys, duplicateKeys, wrongTypes, badValues, plugins, workers, retries, schedules, http, redis, references,
    missing, variables,
  ].flatMap { $0 }

  private static let unknownKeys: [BadConfig] = [
    BadConfig(document(#""htp": {}"#), #"htp: unknown key; did you mean "http"?"#),
    BadConfig(document(#""zzz": {}"#), "zzz: unknown key"),
    BadConfig(document(#""http": {"lisen": "x"}"#), #"http.lisen: unknown key; did you mean "listen"?"#),
    BadConfig(document(type: #""Threads": 1"#), #"types.t.Threads: unknown key; did you mean "threads"?"#),
    BadConfig(document(type: #""timout": "1s""#), #"types.t.timout: unknown key; did you mean "timeout"?"#),
    BadConfig(
      document(type: #""retention": {"ages": "1s"}"#), #"types.t.retention.ages: unknown key; did you mean "age"?"#),
  ]

  private static let duplicateKeys: [BadConfig] = [
    BadConfig(document(#""name": "a", "name": "b""#), "name: duplicate key; it stands in line 1 already"),
    BadConfig(document(type: #""executor": "p/x""#), "types.t.executor: duplicate key; it stands in line 3 already"),
    BadConfig(
      #"{"plugins": {"p": {"path": "x"}, "p": {"path": "y"}}, "types": {"t": {"executor": "p/run"}}}"#,
      "plugins.p: duplicate key; it stands in line 1 already"
    ),
    BadConfig(
      document(plugin: #""settings": {"a": {"b": 1, "b": 2}}"#),
      "plugins.p.settings.a.b: duplicate key; it stands in line 2 already"
    ),
  ]

  private static let wrongTypes: [BadConfig] = [
    BadConfig("[]", "expected an object, found an array"),
    BadConfig(document(#""http": 7"#), "http: expected an object, found a number"),
    BadConfig(document(#""http": {"listen": 7411}"#), "http.listen: expected a string, found a number"),
    BadConfig(document(#""http": {"cors": "http://a"}"#), "http.cors: expected an array of strings, found a string"),
    BadConfig(document(#""http": {"hosts": ["a", 1]}"#), "http.hosts[1]: expected a string, found a number"),
    BadConfig(document(#""workers": []"#), "workers: expected an object of workers by name, found an array"),
    BadConfig(document(#""workers": {"w": null}"#), "workers.w: expected an object, found null"),
    BadConfig(document(type: #""threads": "4""#), "types.t.threads: expected a number, found a string"),
    BadConfig(document(type: #""callback": null"#), "types.t.callback: expected a string, found null"),
    BadConfig(document(plugin: #""settings": true"#), "plugins.p.settings: expected an object, found a boolean"),
    BadConfig(
      document(#""lease": 15"#),
      #"lease: expected a duration as in "500ms", "10s", "5m", "24h" or "7d", found a number"#
    ),
    BadConfig(
      document(type: #""maxParams": 5"#),
      #"types.t.maxParams: expected a size as in "512B", "64KiB", "32MiB" or "1GiB", found a number"#
    ),
  ]

  private static let badValues: [BadConfig] = [
    BadConfig(document(type: #""threads": 0"#), "types.t.threads: 0 is out of range; allowed are 1 to 1024"),
    BadConfig(document(type: #""threads": 1025"#), "types.t.threads: 1025 is out of range; allowed are 1 to 1024"),
    BadConfig(document(type: #""threads": -1"#), "types.t.threads: -1 is out of range; allowed are 1 to 1024"),
    BadConfig(document(type: #""threads": 1.5"#), "types.t.threads: 1.5 is not a whole number"),
    BadConfig(
      document(type: #""threads": 99999999999999999999"#),
      "types.t.threads: 99999999999999999999 is out of range; allowed are 1 to 1024"
    ),
    BadConfig(
      document(type: #""handlerThreads": 0"#), "types.t.handlerThreads: 0 is out of range; allowed are 1 to 1024"),
    BadConfig(
      document(#""workers": {"w": {"processes": 257}}"#),
      "workers.w.processes: 257 is out of range; allowed are 1 to 256"
    ),
    BadConfig(
      document(type: #""retention": {"count": -1}"#),
      "types.t.retention.count: -1 is out of range; allowed are 0 to 1000000000"
    ),
    BadConfig(
      document(type: #""retention": {"age": "0s"}"#),
      "types.t.retention.age: 0s is out of range; allowed are 1ms to 3650d"
    ),
    BadConfig(
      document(type: #""queueCapacity": 0"#), "types.t.queueCapacity: 0 is out of range; allowed are 1 to 1000000000"),
    BadConfig(document(type: #""timeout": "0s""#), "types.t.timeout: 0s is out of range; allowed are 1ms to 3650d"),
    BadConfig(
      document(type: #""keyTTL": "3651d""#), "types.t.keyTTL: 3651d is out of range; allowed are 0s to 3650d"),
    BadConfig(document(#""lease": "50ms""#), "lease: 50ms is out of range; allowed are 100ms to 10m"),
    BadConfig(document(#""drain": {"stop": "2d"}"#), "drain.stop: 2d is out of range; allowed are 0s to 1d"),
    BadConfig(document(#""drain": {"reload": "31d"}"#), "drain.reload: 31d is out of range; allowed are 0s to 30d"),
    BadConfig(document(type: #""grace": "61m""#), "types.t.grace: 61m is out of range; allowed are 0s to 1h"),
    BadConfig(
      document(type: #""maxCrashes": 0"#), "types.t.maxCrashes: 0 is out of range; allowed are 1 to 1000"),
    BadConfig(
      document(type: #""maxCrashes": 1001"#), "types.t.maxCrashes: 1001 is out of range; allowed are 1 to 1000"),
    BadConfig(
      document(#""lease": "fifteen""#),
      #"lease: "fifteen" is not a duration as in "500ms", "10s", "5m", "24h" or "7d""#
    ),
    BadConfig(document(#""http": {"maxBody": "1B"}"#), "http.maxBody: 1B is out of range; allowed are 1KiB to 1GiB"),
    BadConfig(
      document(#""http": {"maxBody": "32MB"}"#),
      #"http.maxBody: "32MB" is not a size as in "512B", "64KiB", "32MiB" or "1GiB""#
    ),
    BadConfig(
      document(#""log": {"level": "warn"}"#),
      #"log.level: "warn" is not one of debug, info, warning, error; did you mean "warning"?"#
    ),
    BadConfig(
      document(#""log": {"format": "jsn"}"#),
      #"log.format: "jsn" is not one of auto, text, json; did you mean "json"?"#
    ),
    BadConfig(
      document(#""redis": {"embedded": {"fsync": "never"}}"#),
      #"redis.embedded.fsync: "never" is not one of everysec, always"#
    ),
    BadConfig(document(#""redis": {"embedded": {"directory": ""}}"#), "redis.embedded.directory: must not be empty"),
    BadConfig(
      document(#""redis": {"prefix": "a{b}"}"#),
      #"redis.prefix: "a{b}" is not a prefix for keys; write a name, or several with : between"#
    ),
    BadConfig(
      document(#""name": "a/b""#),
      "name: a host's name has 1 to 128 bytes, without / and without control characters"
    ),
  ]

  private static let digits = String(repeating: "0123456789abcdeF", count: 4)

  private static let plugins: [BadConfig] = [
    digits.dropLast() + "g", digits + "0", digits.dropLast(), "sha256:", "sha512:" + digits, "sha256:sha256:" + digits,
    "",
  ].map {
    BadConfig(
      document(plugin: #""sha256": "\#($0)""#),
      #"plugins.p.sha256: "\#($0)" is not a SHA-256 digest; write its 64 hex digits, as sha256sum prints them"#)
  }

  private static func worker(_ members: String) -> String { document("\"workers\": {\"w\": {\(members)}}") }

  private static let workers: [BadConfig] = [
    BadConfig(
      worker(#""memory": "1MiB""#), "workers.w.memory: 1MiB is out of range; allowed are 16MiB to 1048576GiB"),
    BadConfig(
      worker(#""memory": "half""#),
      #"workers.w.memory: "half" is not a size as in "512B", "64KiB", "32MiB" or "1GiB""#
    ),
    BadConfig(worker(#""cpu": 0"#), "workers.w.cpu: 0 is out of range; allowed are 0.01 to 1024"),
    BadConfig(worker(#""cpu": -0.5"#), "workers.w.cpu: -0.5 is out of range; allowed are 0.01 to 1024"),
    BadConfig(worker(#""cpu": 1025"#), "workers.w.cpu: 1025 is out of range; allowed are 0.01 to 1024"),
    BadConfig(worker(#""cpu": 1e999"#), "workers.w.cpu: 1e999 is out of range; allowed are 0.01 to 1024"),
    BadConfig(worker(#""cpu": "1""#), "workers.w.cpu: expected a number, found a string"),
    BadConfig(worker(#""user": """#), #"workers.w.user: "" is not the name of a user"#),
    BadConfig(worker(#""user": "a:b""#), #"workers.w.user: "a:b" is not the name of a user"#),
    BadConfig(worker(#""user": 1000"#), "workers.w.user: expected a string, found a number"),
    BadConfig(worker(#""recycle": 100"#), "workers.w.recycle: expected an object, found a number"),
    BadConfig(worker(#""recycle": {}"#), "workers.w.recycle: says nothing; give tasks, memory or both"),
    BadConfig(
      worker(#""recycle": {"tasks": 0}"#),
      "workers.w.recycle.tasks: 0 is out of range; allowed are 1 to 1000000000"
    ),
    BadConfig(
      worker(#""recycle": {"memory": "1B"}"#),
      "workers.w.recycle.memory: 1B is out of range; allowed are 16MiB to 1048576GiB"
    ),
    BadConfig(
      worker(#""recycle": {"memory": "1GiB"}, "memory": "1GiB""#),
      "workers.w.recycle.memory: 1GiB is not less than memory of the worker, 1GiB, at which a process is ended"
    ),
  ]

  private static let retries: [BadConfig] = [
    BadConfig(document(type: #""retry": 3"#), "types.t.retry: expected an object, found a number"),
    BadConfig(
      document(type: #""retry": {"attempt": 3}"#), #"types.t.retry.attempt: unknown key; did you mean "attempts"?"#),
    BadConfig(
      document(type: #""retry": {"attempts": 0}"#),
      "types.t.retry.attempts: 0 is out of range; allowed are 1 to 1000"
    ),
    BadConfig(
      document(type: #""handlerRetry": {"attempts": 1001}"#),
      "types.t.handlerRetry.attempts: 1001 is out of range; allowed are 1 to 1000"
    ),
    BadConfig(
      document(type: #""retry": {"backoff": "31d", "maxBackoff": "30d"}"#),
      "types.t.retry.backoff: 31d is out of range; allowed are 0s to 30d"
    ),
    BadConfig(
      document(type: #""retry": {"backoff": "10s", "maxBackoff": "9s"}"#),
      "types.t.retry.maxBackoff: 9s is less than backoff; write at least 10s"
    ),
    BadConfig(
      document(type: #""handlerRetry": {"backoff": "10m"}"#),
      "types.t.handlerRetry.maxBackoff: 5m, the default, is less than backoff; write at least 10m"
    ),
  ]

  private static func schedule(_ members: String, type: String = "") -> String {
    document("\"schedules\": {\"s\": {\(members)}}", type: type)
  }

  private static let schedules: [BadConfig] = [
    BadConfig(document(#""schedules": []"#), "schedules: expected an object of schedules by name, found an array"),
    BadConfig(document(#""schedules": {"s": 1}"#), "schedules.s: expected an object, found a number"),
    BadConfig(
      document(#""schedules": {"a/b": {"type": "t", "cron": "@daily"}}"#),
      #"schedules.a/b: "a/b" is not a name for a schedule; names have 1 to 64 characters of A-Z a-z 0-9 . _ - "#
        + "and start with a letter or digit"
    ),
    BadConfig(schedule(#""cron": "@daily""#), "schedules.s.type: missing; name one of types"),
    BadConfig(schedule(#""type": "", "cron": "@daily""#), "schedules.s.type: must not be empty; name one of types"),
    BadConfig(
      schedule(#""type": "x", "cron": "@daily""#), #"schedules.s.type: there is no type "x"; did you mean "t"?"#),
    BadConfig(
      schedule(#""type": "article", "cron": "@daily""#),
      #"schedules.s.type: there is no type "article"; types has t"#
    ),
    BadConfig(
      schedule(#""type": "t""#),
      #"schedules.s.cron: missing; write minute, hour, day of month, month, day of week, as in "0 3 * * *""#
    ),
    BadConfig(
      schedule(#""type": "t", "cron": """#),
      "schedules.s.cron: must not be empty; write minute, hour, day of month, month, day of week, "
        + #"as in "0 3 * * *""#
    ),
    BadConfig(
      schedule(#""type": "t", "cron": ["@daily"]"#), "schedules.s.cron: expected a string, found an array"),
    BadConfig(
      schedule(#""type": "t", "cron": "0 25 * * *""#),
      "schedules.s.cron: hour 25 is out of range; allowed are 0 to 23"
    ),
    BadConfig(
      schedule(#""type": "t", "cron": "0 0 30 2 *""#),
      #"schedules.s.cron: "0 0 30 2 *" is never due: none of its months has such a day"#
    ),
    BadConfig(
      schedule(#""type": "t", "cron": "@daily", "timezone": "Asia/Shangai""#),
      #"schedules.s.timezone: there is no time zone "Asia/Shangai"; did you mean "Asia/Shanghai"?"#
    ),
    BadConfig(
      schedule(#""type": "t", "cron": "@daily", "timezone": "../../etc/passwd""#),
      #"schedules.s.timezone: there is no time zone "../../etc/passwd"; "#
        + "write a name of the IANA database, as in Europe/Berlin"
    ),
    BadConfig(
      schedule(#""type": "t", "cron": "@daily", "timezone": 8"#),
      "schedules.s.timezone: expected a string, found a number"
    ),
    BadConfig(
      schedule(#""type": "t", "cron": "@daily", "missed": "run""#),
      #"schedules.s.missed: "run" is not one of skip, runOnce; did you mean "runOnce"?"#
    ),
    BadConfig(
      schedule(#""type": "t", "cron": "@daily", "params": {"a": 1, "a": 2}"#),
      "schedules.s.params.a: duplicate key; it stands in line 1 already"
    ),
    BadConfig(
      schedule(#""type": "t", "cron": "@daily", "params": "12345""#, type: #""maxParams": "6B""#),
      "schedules.s.params: 7 bytes are more than maxParams of the type t, 6B"
    ),
    BadConfig(
      schedule(#""type": "t", "cron": "@daily", "timeZone": "UTC""#),
      #"schedules.s.timeZone: unknown key; did you mean "timezone"?"#
    ),
  ]

  private static let http: [BadConfig] = [
    BadConfig(
      document(#""http": {"listen": "127.0.0.1"}"#),
      #"http.listen: "127.0.0.1" is not ADDRESS:PORT, as in 127.0.0.1:7411 or [::1]:7411"#
    ),
    BadConfig(
      document(#""http": {"listen": "::1:7411"}"#),
      #"http.listen: "::1:7411" is not ADDRESS:PORT, as in 127.0.0.1:7411 or [::1]:7411"#
    ),
    BadConfig(
      document(#""http": {"listen": "127.0.0.1:70000"}"#),
      #"http.listen: "127.0.0.1:70000" is not ADDRESS:PORT, as in 127.0.0.1:7411 or [::1]:7411"#
    ),
    BadConfig(
      document(#""http": {"listen": "0.0.0.0:7411"}"#),
      "http.listen: 0.0.0.0:7411 can be reached from other machines; listening beyond loopback without tokens is "
        + "refused; listen on 127.0.0.1 or [::1]"
    ),
    BadConfig(
      document(#""http": {"listen": "[::]:0"}"#),
      "http.listen: [::]:0 can be reached from other machines; listening beyond loopback without tokens is "
        + "refused; listen on 127.0.0.1 or [::1]"
    ),
    BadConfig(
      document(#""http": {"cors": ["https://a.example/x"]}"#),
      #"http.cors[0]: "https://a.example/x" is not an origin, as in https://example.org"#
    ),
    BadConfig(
      document(#""http": {"hosts": ["a.example:80"]}"#),
      #"http.hosts[0]: "a.example:80" is not a host name; write it without scheme and port"#
    ),
  ]

  private static let redis: [BadConfig] = [
    BadConfig(
      document(#""redis": {"embedded": {}, "url": "redis://h"}"#),
      "redis.url: redis.embedded and redis.url cannot both be given; keep one"
    ),
    BadConfig(
      document(#""redis": {"url": "rediss://user:hunter2@h"}"#),
      "redis.url: rediss:// (TLS) is not supported yet; use redis:// on a network you trust, or unix://"
    ),
    BadConfig(
      document(#""redis": {"url": "http://user:hunter2@h"}"#),
      #"redis.url: the scheme "http" is unknown; write redis://user:pass@host:6379/0 or unix:///path?db=0"#
    ),
  ]

  private static let references: [BadConfig] = [
    BadConfig(
      document(type: #""callback": "notify/log""#),
      #"types.t.callback: there is no plugin "notify"; plugins has p"#
    ),
    BadConfig(
      #"{"plugins": {"notify": {"path": "x"}}, "types": {"t": {"executor": "notfy/log"}}}"#,
      #"types.t.executor: there is no plugin "notfy"; did you mean "notify"?"#
    ),
    BadConfig(
      document(type: #""exceptionHandler": "p""#),
      #"types.t.exceptionHandler: "p" is not PLUGIN/EXPORT, as in "notify/log""#
    ),
    BadConfig(
      document(type: #""callback": "p/a/b""#), #"types.t.callback: "p/a/b" is not PLUGIN/EXPORT, as in "notify/log""#),
    BadConfig(
      document(#""workers": {"heavy": {}}"#, type: #""worker": "havy""#),
      #"types.t.worker: there is no worker "havy"; did you mean "heavy"?"#
    ),
    BadConfig(document(type: #""worker": "other""#), #"types.t.worker: there is no worker "other"; workers has none"#),
    BadConfig(
      #"{"plugins": {"p": {"path": "x"}}, "types": {"a b": {"executor": "p/run"}}}"#,
      #"types.a b: "a b" is not a name for a type; names have 1 to 64 characters of A-Z a-z 0-9 . _ - "#
        + "and start with a letter or digit"
    ),
    BadConfig(
      document(#""workers": {".w": {}}"#),
      #"workers..w: ".w" is not a name for a worker; names have 1 to 64 characters of A-Z a-z 0-9 . _ - "#
        + "and start with a letter or digit"
    ),
    BadConfig(
      document(#""workers": {"w": {"environment": ["PATH", "1X"]}}"#),
      #"workers.w.environment[1]: "1X" is not the name of an environment variable"#
    ),
  ]

  private static let missing: [BadConfig] = [
    BadConfig(#"{"types": {}}"#, "plugins: missing; name at least one plugin and its path"),
    BadConfig(#"{"plugins": {}}"#, "types: missing; name at least one type and its executor"),
    BadConfig(
      #"{"plugins": {"p": {}}, "types": {}}"#, "plugins.p.path: missing; write the path of the plugin's .so file"),
    BadConfig(
      #"{"plugins": {"p": {"path": ""}}, "types": {}}"#,
      "plugins.p.path: must not be empty; write the path of the plugin's .so file"
    ),
    BadConfig(
      #"{"plugins": {"p": {"path": "x"}}, "types": {"t": {}}}"#, "types.t.executor: missing; write PLUGIN/EXPORT"),
    BadConfig(
      #"{"plugins": {"p": {"path": "x\u0000y"}}, "types": {}}"#,
      "plugins.p.path: a NUL character cannot stand here"
    ),
  ]

  private static let variables: [BadConfig] = [
    BadConfig(
      document(#""name": "${NOT_SET}""#),
      "name: the environment has no NOT_SET; set it, or give a default as in ${NOT_SET:-text}"
    ),
    BadConfig(document(#""name": "${OPEN""#), #"name: "${" has no closing "}"; write $${ for a literal ${"#),
    BadConfig(
      document(plugin: #""settings": {"keys": ["${no name}"]}"#),
      #"plugins.p.settings.keys[0]: "${no name}" names no environment variable; write ${NAME} or ${NAME:-text}, "#
        + "and $${ for a literal ${"
    ),
  ]
}
