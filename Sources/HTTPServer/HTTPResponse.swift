// SPDX-License-Identifier: Apache-2.0
internal import CMicrohttpd

/// An answer with a body that is known as a whole.
package struct HTTPResponse: Sendable {
  package var status: Int
  /// Empty: no Content-Type.
  package var contentType: String
  /// Besides Content-Type, Content-Length, Date and Connection; one with a control character in it is left out.
  package var headers: [(name: String, value: String)]
  /// Not sent with 1xx, 204 and 304.
  package var body: [UInt8]

  package init(status: Int, contentType: String, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.status = status
    self.contentType = contentType
    self.headers = headers
    self.body = body
  }
}

/// A response as libmicrohttpd keeps it: made on any thread, then owned by the exchange that it answers.
struct PreparedResponse: @unchecked Sendable {
  // Sendable, because it is built by one thread and then handed over under the lock of its exchange; never shared.
  let pointer: OpaquePointer
  let status: UInt32
  let bodyCount: Int

  /// Copies the body and the headers, so that the loop thread has nothing left to do but to send; nil without memory.
  init?(_ response: HTTPResponse) {
    let bodyless = response.status < 200 || response.status == 204 || response.status == 304
    let count = bodyless ? 0 : response.body.count
    let made = response.body.withUnsafeBytes { bytes in
      // The library copies: MUST_COPY never writes through the pointer.
      MHD_create_response_from_buffer(
        count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), .RESPMEM_MUST_COPY)
    }
    guard let made else { return nil }
    if !response.contentType.isEmpty { MHD_add_response_header(made, "Content-Type", response.contentType) }
    for (name, value) in response.headers { MHD_add_response_header(made, name, value) }
    pointer = made
    status = UInt32(clamping: response.status)
    bodyCount = count
  }

  func closeConnectionAfterwards() {
    MHD_add_response_header(pointer, "Connection", "close")
  }

  /// Gives the memory back once whatever the library still sends has gone out.
  func release() {
    MHD_destroy_response(pointer)
  }
}
