// SPDX-License-Identifier: Apache-2.0
public import RoostPlugin

@c(roost_plugin_v1) public func plugin(_ host: RoostHost) -> RoostPluginDescriptor {
  Plugin("digest", version: "1.0.0") {
    Executor("summarize") { try Summarize($0) }
  }.export(to: host)
}
