// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import TestSupport

@Suite("The plugin header")
struct HeaderTests {
  @Test(
    "The header compiles without a warning",
    arguments: [
      ("cc", "c", "c99"), ("cc", "c", "c11"), ("c++", "c++", "c++11"),
    ])
  func compiles(compiler: String, language: String, standard: String) throws {
    let source = "\(BuildProducts.sources)/Sources/CRoost/include"
    let folder = try TemporaryDirectory()
    let file = try folder.write("use.txt", Self.user)
    let check = Process()
    check.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    check.arguments = [
      compiler, "-x", language, "-std=\(standard)", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I",
      source,
      file,
    ]
    try check.run()
    check.waitUntilExit()
    #expect(check.terminationStatus == 0)
  }

  /// Uses what a plugin uses: the macros, the inline function, the entry.
  static let user = """
    #include "roost_plugin.h"
    static roost_status run(void *instance, roost_task *task) {
      const roost_host *host = (const roost_host *)instance;
      if (ROOST_CALLABLE(roost_host, host, progress)) host->progress(task, 0.5, roost_text("half"));
      return host->set_result(task, roost_text("null"));
    }
    ROOST_EXPORT const roost_plugin *roost_plugin_v1(const roost_host *host) {
      static roost_plugin plugin;
      plugin.size = ROOST_HAS(roost_host, host, record) ? sizeof(roost_plugin) : 0;
      return run((void *)(uintptr_t)host, NULL) == ROOST_OK ? &plugin : NULL;
    }

    """
}
