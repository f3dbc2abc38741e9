// SPDX-License-Identifier: Apache-2.0
@testable import Config
import Foundation
import Schedules
import TaskModel
import TestSupport
import Testing

@Suite("Configs")
struct ConfigTests {
  @Test("The least config has the documented defaults")
  func defaults() throws {
    let config = try parse(document())
    #expect(config.directory == "/etc/roost")
    #expect(config.name == ProcessInfo.processInfo.hostName)
    let embedded = EmbeddedRedisConfig(directory: "/etc/roost/data", fsync: .everysec, server: nil)
    #expect(config.redis == RedisConfig(source: .embedded(embedded), prefix: "roost"))
    #expect(config.http.listen == ListenAddress(host: "127.0.0.1", port: 7411))
    #expect(config.http.cors.isEmpty && config.http.hosts.isEmpty)
    #expect(config.http.maxBody == 32 << 20)
    #expect(config.log == LogConfig(level: .info, format: .auto))
    #expect(config.drain.stop == .seconds(25) && config.drain.reload == .seconds(3600))
    #expect(config.lease == .seconds(15))
    #expect(config.plugins == ["p": PluginConfig(path: "/etc/roost/lib/p.so", settings: Array("{}".utf8))])
    #expect(config.workers == ["p": WorkerConfig(processes: 1, environment: nil)])
    let type = try #require(config.types["t"])
    #expect(type.executor == ExportRef(plugin: "p", export: "run"))
    #expect(type.callback == nil && type.exceptionHandler == nil)
    #expect(type.worker == "p")
    #expect(type.threads == sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    #expect(type.handlerThreads == 2)
    #expect(type.retention == RetentionConfig(age: .seconds(86_400), count: 100_000))
    #expect(type.queueCapacity == 100_000)
    #expect(type.timeout == nil && type.keyTTL == nil)
    #expect(type.grace == .seconds(5) && type.maxCrashes == 2)
    #expect(type.retry == RetryPolicy(attempts: 1, backoff: .seconds(1), maxBackoff: .seconds(300)))
    #expect(type.handlerRetry == RetryPolicy(attempts: 10, backoff: .seconds(1), maxBackoff: .seconds(300)))
    #expect(type.maxParams == 1 << 20)
    #expect(type.maxResult == 4 << 20)
  }

  @Test("Every key that is written counts")
  func everyKey() throws {
    let text = """
      { "$schema": "docs/config.schema.json", "name": "host 1",
        "redis": { "embedded": { "directory": "./a/b", "fsync": "always", "server": "bin/redis" }, "prefix": "a:b" },
        "http": { "listen": "[::1]:0", "cors": ["https://a.example", "http://[::1]:80"], "hosts": ["roost.example"],
                  "maxBody": "1KiB" },
        "log": { "level": "debug", "format": "json" }, "drain": { "stop": "0s", "reload": "2d" }, "lease": "500ms",
        "plugins": { "p": { "path": "/abs/p.so", "settings": { "x": [1.50, "é"] } }, "q": { "path": "q.so",
                     "sha256": "SHA256:\(String(repeating: "0123456789abcdEF", count: 4))" } },
        "workers": { "w": { "processes": 8, "environment": ["PATH"], "memory": "16MiB", "cpu": 0.5, "user": "nobody",
                           "recycle": { "tasks": 1 } },
                     "x": { "memory": "2GiB", "cpu": 1024, "recycle": { "memory": "1GiB" } }, "idle": {} },
        "types": { "t": { "executor": "p/run", "callback": "q/log", "exceptionHandler": "p/alert", "worker": "w",
                          "threads": 1024, "handlerThreads": 1, "retention": { "age": "7d", "count": 0 },
                          "queueCapacity": 1, "timeout": "5m", "keyTTL": "0s", "grace": "0s", "maxCrashes": 1000,
                          "retry": { "attempts": 1000, "backoff": "0s", "maxBackoff": "0s" },
                          "handlerRetry": { "backoff": "2s", "maxBackoff": "30d" },
                          "maxParams": "1B", "maxResult": "256MiB" } } }
      """
    let config = try parse(text)
    #expect(config.name == "host 1")
    let embedded = EmbeddedRedisConfig(directory: "/etc/roost/a/b", fsync: .always, server: "/etc/roost/bin/redis")
    #expect(config.redis == RedisConfig(source: .embedded(embedded), prefix: "a:b"))
    #expect(config.http.listen == ListenAddress(host: "::1", port: 0))
    #expect(config.http.cors == ["https://a.example", "http://[::1]:80"])
    #expect(config.http.hosts == ["roost.example"])
    #expect(config.http.maxBody == 1024)
    #expect(config.log == LogConfig(level: .debug, format: .json))
    #expect(config.drain.stop == .zero && config.drain.reload == .seconds(2 * 86_400))
    #expect(config.lease == .milliseconds(500))
    #expect(config.plugins["p"]?.path == "/abs/p.so")
    #expect(config.plugins["p"]?.settings == Array(#"{ "x": [1.50, "é"] }"#.utf8))
    #expect(config.plugins["q"]?.path == "/etc/roost/q.so")
    #expect(config.plugins["q"]?.sha256 == String(repeating: "0123456789abcdef", count: 4))
    #expect(config.plugins["p"]?.sha256 == nil)
    #expect(
      config.workers == [
        "w": WorkerConfig(
          processes: 8, environment: ["PATH"], memory: 16 << 20, cpu: 0.5, user: "nobody",
          recycle: RecycleConfig(tasks: 1)),
        "x": WorkerConfig(processes: 1, memory: 2 << 30, cpu: 1024, recycle: RecycleConfig(memory: 1 << 30)),
        "idle": WorkerConfig(processes: 1, environment: nil),
      ])
    let type = try #require(config.types["t"])
    #expect(type.callback == ExportRef(plugin: "q", export: "log"))
    #expect(type.exceptionHandler == ExportRef(plugin: "p", export: "alert"))
    #expect(type.plugins == ["p", "q"])
    #expect(type.worker == "w")
    #expect(type.threads == 1024 && type.handlerThreads == 1)
    #expect(type.retention == RetentionConfig(age: .seconds(7 * 86_400), count: 0))
    #expect(type.queueCapacity == 1 && type.timeout == .seconds(300) && type.keyTTL == .zero)
    #expect(type.grace == .zero && type.maxCrashes == 1000)
    #expect(type.retry == RetryPolicy(attempts: 1000, backoff: .zero, maxBackoff: .zero))
    #expect(
      type.handlerRetry == RetryPolicy(attempts: 10, backoff: .seconds(2), maxBackoff: .seconds(30 * 86_400)))
    #expect(type.maxParams == 1 && type.maxResult == 256 << 20)
  }

  @Test("A url replaces the embedded Redis; a server's bare name stays for the PATH")
  func redisSources() throws {
    let config = try parse(document(#""redis": {"url": "redis://:${PASS}@db:1/2"}"#), ["PASS": "a%40b"])
    let address = RedisAddress(endpoint: .tcp(host: "db", port: 1), password: "a@b", database: 2)
    #expect(config.redis.source == .address(address))
    let bare = try parse(document(#""redis": {"embedded": {"server": "valkey-server"}}"#))
    #expect(
      bare.redis.source
        == .embedded(EmbeddedRedisConfig(directory: "/etc/roost/data", fsync: .everysec, server: "valkey-server")))
  }

  @Test("A type may run in the worker named as another plugin without that worker being written")
  func impliedWorker() throws {
    let text = #"""
      {"plugins": {"p": {"path": "p"}, "q": {"path": "q"}}, "types": {"t": {"executor": "p/x", "worker": "q"}}}
      """#
    #expect(try parse(text).workers == ["q": WorkerConfig(processes: 1, environment: nil)])
  }

  @Test("A schedule has null, UTC and skip by default")
  func scheduleDefaults() throws {
    #expect(try parse(document()).schedules.isEmpty)
    let config = try parse(document(#""schedules": {"s": {"type": "t", "cron": "@daily"}}"#))
    #expect(
      try config.schedules == [
        "s": ScheduleConfig(
          type: "t", params: Array("null".utf8), cron: CronExpression("@daily"), zone: .utc, missed: .skip)
      ])
  }

  @Test("Every key of a schedule counts; its params keep their bytes around replaced variables")
  func schedule() throws {
    let params = #"{ "n" : 1.50, "b":null ,"a": "\u0041", "v": "${WHO:-x}" }"#
    let config = try parse(
      document(
        """
        "schedules": {"night.ly": {"missed": "runOnce", "cron": "0 3 * * MON-FRI", "timezone": "Asia/Shanghai",
        "params": \(params), "type": "t"}}
        """, type: #""maxParams": "50B""#), ["WHO": "me"])
    let schedule = try #require(config.schedules["night.ly"])
    #expect(schedule.type == "t")
    #expect(String(decoding: schedule.params, as: UTF8.self) == params.replacing("${WHO:-x}", with: "me"))
    #expect(schedule.cron.text == "0 3 * * MON-FRI")
    #expect(schedule.zone.name == "Asia/Shanghai")
    #expect(schedule.missed == .runOnce)
    let friday = Timestamp(millis: 1_732_906_800_000)  // 2024-11-29T19:00Z, 03:00 on Saturday in Shanghai
    #expect(schedule.cron.next(after: friday, in: schedule.zone)?.iso8601 == "2024-12-01T19:00:00.000Z")
  }

  @Test("TZDIR says where zones are; one that has none is said to lack tzdata")
  func timeZoneDirectory() throws {
    let text = document(#""schedules": {"s": {"type": "t", "cron": "@daily", "timezone": "Asia/Tokyo"}}"#)
    #expect(issues(text) == [])
    #expect(issues(text, ["TZDIR": ""]) == [])
    let folder = try TemporaryDirectory()
    #expect(
      issues(text, ["TZDIR": folder.path]) == [
        "schedules.s.timezone: no time zones are installed in \(folder.path); install the package tzdata"
      ])
    try folder.write("Tokyo", "TZif")
    let damaged = text.replacing("Asia/Tokyo", with: "Tokyo")
    #expect(
      issues(damaged, ["TZDIR": folder.path]) == [
        "schedules.s.timezone: \(folder.path)/Tokyo is not a time zone; install the package tzdata again"
      ])
  }

  @Test(
    "Variables are replaced in strings",
    arguments: [
      ("${A}", "value"), ("x${A}y${A}", "xvaluey" + "value"), ("${UNSET:-text}", "text"), ("${A:-text}", "value"),
      ("${EMPTY:-text}", "text"), ("a${EMPTY}", "a"), ("a${UNSET:-}", "a"), ("${UNSET:-a:-b}", "a:-b"),
      ("$${A}", "${A}"), ("$$${A}", "$${A}"), ("$A $", "$A $"), ("cost: 5$", "cost: 5$"),
    ])
  func variables(_ text: String, _ expected: String) throws {
    let environment = ["A": "value", "EMPTY": ""]
    #expect(try parse(document("\"name\": \"\(text)\""), environment).name == expected)
  }

  @Test("Settings keep their bytes around replaced variables, which are escaped as JSON needs")
  func settings() throws {
    let written = #"{ "a" : "${KEY}" , "n": 1.50, "deep": [ {"x": "$${y}"}, "${NONE:-é}" ], "s": "\u0041" }"#
    let config = try parse(document(plugin: "\"settings\": \(written)"), ["KEY": "q\"\n\\"])
    let expected = #"{ "a" : "q\"\n\\" , "n": 1.50, "deep": [ {"x": "${y}"}, "é" ], "s": "\u0041" }"#
    #expect(String(decoding: try #require(config.plugins["p"]).settings, as: UTF8.self) == expected)
  }

  @Test(
    "Listen addresses of this machine alone are known as such",
    arguments: [
      ("127.0.0.1:1", true), ("127.9.9.9:1", true), ("localhost:1", true), ("[::1]:1", true), ("0.0.0.0:1", false),
      ("[::]:1", false), ("10.0.0.1:1", false), ("host.example:1", false),
    ])
  func loopback(_ text: String, _ isLoopback: Bool) throws {
    let address = try #require(ListenAddress(text))
    #expect(address.isLoopback == isLoopback)
    #expect(address.description == text)
  }

  @Test("Relative paths start at the directory of the file")
  func load() throws {
    let folder = try TemporaryDirectory()
    let config = try Config.load(path: try folder.write("c.json", document()), environment: [:])
    #expect(config.directory == folder.path)
    #expect(config.plugins["p"]?.path == folder.path + "/lib/p.so")
  }
}
