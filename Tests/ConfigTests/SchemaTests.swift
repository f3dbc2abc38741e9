// SPDX-License-Identifier: Apache-2.0
import Config
import Foundation
import TestSupport
import Testing

@Suite("The JSON Schema of config.json")
struct SchemaTests {
  let schema = try? JSONSchema(contentsOf: BuildProducts.sources + "/docs/config.schema.json")

  @Test("The schema describes exactly the keys that the decoder reads")
  func keysAgree() throws {
    let schema = try #require(schema)
    #expect(schema.keyPatterns() == Config.keyPatterns)
  }

  @Test("Every key has a description")
  func descriptions() throws {
    #expect(try #require(schema).undescribed().isEmpty)
  }

  @Test("The repository's config is accepted by the schema and by the decoder with no variable set")
  func ownConfig() throws {
    let file = BuildProducts.sources + "/config.json"
    #expect(try #require(schema).problems(in: Data(contentsOf: URL(fileURLWithPath: file))) == [])
    let config = try Config.load(path: file, environment: [:])
    #expect(config.plugins.keys.sorted() == ["article", "command", "digest", "notify"])
    #expect(config.types.keys.sorted() == ["article.generate", "command.run", "digest.summarize"])
    #expect(config.types.values.allSatisfy { $0.callback?.description == "notify/log" })
    #expect(config.types.values.allSatisfy { $0.exceptionHandler?.description == "notify/log" })
  }

  @Test(
    "What the decoder refuses by itself the schema refuses too",
    arguments: [
      document(#""htp": {}"#), document(type: #""threads": 0"#), document(type: #""threads": "1""#),
      document(#""lease": "15""#), document(#""redis": {"embedded": {}, "url": "redis://h"}"#), "{}",
      document(#""log": {"level": "warn"}"#), document(#""workers": {".w": {}}"#),
      document(type: #""rateLimit": "1/s""#),
      document(type: #""maxCrashes": 0"#), document(plugin: #""sha256": "abc""#), document(type: #""grace": 5"#),
      document(#""workers": {"w": {"cpu": 0}}"#), document(#""workers": {"w": {"cpu": true}}"#),
      document(#""workers": {"w": {"recycle": {}}}"#), document(#""workers": {"w": {"recycle": {"tasks": 0}}}"#),
      document(#""workers": {"w": {"user": ""}}"#), document(#""workers": {"w": {"memory": 1}}"#),
      document(#""schedules": {"s": {"type": "t", "cron": "0 3 * *"}}"#), document(#""schedules": {"s": {}}"#),
      document(#""schedules": {"s": {"type": "t", "cron": "@daily", "timezone": "posix/UTC"}}"#),
      document(#""schedules": {"s": {"type": "t", "cron": "@daily", "missed": "run"}}"#),
      document(type: #""retry": {"attempts": 0}"#), document(type: #""queueCapacity": 0"#),
      document(#""redis": {"url": "rediss://h"}"#), document(#""http": {"cors": [1]}"#),
    ])
  func refused(_ text: String) throws {
    #expect(!issues(text).isEmpty)
    #expect(try #require(schema).problems(in: Data(text.utf8)) != [])
  }

  @Test("Variables may stand where a quantity or a word is asked for")
  func variablesAccepted() throws {
    let text = document(#""lease": "${LEASE:-1s}", "log": {"level": "${LEVEL:-info}"}"#)
    #expect(issues(text) == [])
    #expect(try #require(schema).problems(in: Data(text.utf8)) == [])
  }
}
