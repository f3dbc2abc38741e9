// SPDX-License-Identifier: Apache-2.0

/// Keys that belong to the format and that this version does not act on; each is refused where it stands.
private let unsupported = [
  "http.tokens", "http.tls",
  "types.*.rateLimit", "types.*.concurrency", "types.*.tenantConcurrency",
]

/// The unsupported keys that are members of the object at `pattern`, as in `types.*`; empty: the document.
func unsupportedKeys(in pattern: String) -> Set<String> {
  let prefix = pattern.isEmpty ? "" : pattern + "."
  return Set(
    unsupported.lazy.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
      .filter { !$0.contains(".") })
}
