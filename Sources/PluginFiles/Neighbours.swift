// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The libraries that a plugin finds by `$ORIGIN` from where it lies: a copy that lies elsewhere needs links to them.
struct Neighbours {
  struct Link: Equatable {
    /// Where the plugin looks, from its own directory, as in `libx.so` or `../lib/libx.so`.
    let name: String
    /// The library: absolute, with all links followed.
    let target: String
  }

  private(set) var links: [Link] = []
  /// Sentences about what is risky but no reason to refuse.
  private(set) var warnings: [String] = []

  /// How many directories the search leads up from the plugin's own.
  var height: Int {
    links.map { $0.name.split(separator: "/").prefix { $0 == ".." }.count }.max() ?? 0
  }

  /// Follows what a plugin in `directory` needs, and what that needs in turn; each library is checked as the plugin is.
  init(of plugin: ELFFile, in directory: String, _ name: String) throws(PluginError) {
    var pending = [(dependencies: try ELFDependencies(of: plugin), folder: "", inherited: [String]())]
    var seen: Set<String> = []
    while let (dependencies, folder, inherited) = pending.popLast() {
      let folders = dependencies.besides.map { normalized("\(folder)/\($0)") } + inherited
      for needed in dependencies.needed where !seen.contains(needed) {
        let places = folders.map { $0.isEmpty ? needed : "\($0)/\(needed)" }
        guard let place = places.first(where: { access("\(directory)/\($0)", F_OK) == 0 }) else { continue }
        seen.insert(needed)
        let path = normalized("\(directory)/\(place)")
        let library = PluginPlace(name: name, path: "/" + path)
        let file = try TrustedFile(library, at: library.path)
        let needs = try ELFDependencies(of: try ELFFile(file.descriptor, library))
        links.append(Link(name: place, target: file.resolvedPath))
        warnings += file.warnings
        // The linker takes the directory of the link, not of the file that it leads to.
        pending.append((needs, normalized(String(place.dropLast(needed.count))), folders))
      }
    }
  }
}

/// A relative path without empty steps and `.`, with `..` at its start only.
private func normalized(_ path: String) -> String {
  var steps: [Substring] = []
  for step in path.split(separator: "/") where step != "." {
    if step == "..", let last = steps.last, last != ".." { steps.removeLast() } else { steps.append(step) }
  }
  return steps.joined(separator: "/")
}
