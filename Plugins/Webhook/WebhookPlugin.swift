// SPDX-License-Identifier: Apache-2.0
public import RoostPlugin

@c(roost_plugin_v1) public func plugin(_ host: RoostHost) -> RoostPluginDescriptor {
  Plugin("webhook", version: "1.0.0") {
    Callback("post") { try PostOutcome($0) }
    ExceptionHandler("post") { try PostOutcome($0) }
  }.export(to: host)
}
