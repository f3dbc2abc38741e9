// SPDX-License-Identifier: Apache-2.0
import TestSupport

/// Compiles the least plugin with the flags, and perhaps with something that runs while it is loaded.
func compileMinimalPlugin(
  _ name: String, in folder: TemporaryDirectory, _ flags: [String] = [], constructor: String? = nil
) throws -> String {
  let sources = BuildProducts.sources
  var files = [sources + "/Tests/PluginLoaderTests/BadPlugins/minimal.c"]
  if let constructor {
    let text = """
      #include <stdio.h>
      #include <stdlib.h>
      #include <string.h>
      #include <unistd.h>
      __attribute__((constructor)) static void first(void) { \(constructor); }

      """
    files.append(try folder.write(name + ".c", text))
  }
  let path = folder.path + "/" + name
  let words =
    ["-shared", "-fPIC", "-fvisibility=hidden", "-I", sources + "/Sources/CRoost/include"] + flags + files
    + ["-o", path]
  let result = try TestSupport.run("/usr/bin/cc", words)
  guard result.status == 0 else { throw SpawnFailed(description: result.errors) }
  return path
}
