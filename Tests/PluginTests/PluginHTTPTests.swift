// SPDX-License-Identifier: Apache-2.0
import PluginHTTP
import Testing

@Suite("HTTP of plugins")
struct PluginHTTPTests {
  @Test(
    "An address is public or of a special purpose",
    arguments: [
      ("1.1.1.1", true), ("8.8.8.8", true), ("9.255.255.255", true), ("10.0.0.0", false), ("10.255.255.255", false),
      ("11.0.0.0", true), ("0.0.0.0", false), ("0.1.2.3", false), ("100.63.255.255", true), ("100.64.0.0", false),
      ("100.127.255.255", false), ("100.128.0.0", true), ("127.0.0.1", false), ("127.255.255.254", false),
      ("169.253.1.1", true), ("169.254.169.254", false), ("172.15.255.255", true), ("172.16.0.0", false),
      ("172.31.255.255", false), ("172.32.0.0", true), ("192.0.0.8", false), ("192.0.1.1", true), ("192.0.2.1", false),
      ("192.88.99.1", false), ("192.167.1.1", true), ("192.168.1.1", false), ("192.169.0.0", true),
      ("198.17.255.255", true), ("198.18.0.0", false), ("198.19.255.255", false), ("198.20.0.0", true),
      ("198.51.100.1", false), ("203.0.113.1", false), ("223.255.255.255", true), ("224.0.0.1", false),
      ("239.255.255.250", false), ("240.0.0.1", false), ("255.255.255.255", false),
      ("::", false), ("::1", false), ("::7f00:1", false), ("fe80::1", false), ("febf::1", false), ("fec0::1", false),
      ("fc00::1", false), ("fd12:3456::1", false), ("ff02::1", false), ("100::1", false), ("4000::1", false),
      ("2606:4700::1111", true), ("2a00:1450::1", true), ("2001:db8::1", false), ("3fff::1", false),
      ("2001::1", false), ("2001:1ff::1", false), ("2001:200::1", true),
      ("::ffff:127.0.0.1", false), ("::ffff:10.0.0.1", false), ("::ffff:8.8.8.8", true),
      ("64:ff9b::a9fe:a9fe", false), ("64:ff9b::808:808", true), ("64:ff9b:1::808:808", false),
      ("2002:7f00:1::1", false), ("2002:a00:1::1", false), ("2002:808:808::1", true),
    ])
  func publicAddress(text: String, isPublic: Bool) throws {
    let address = try #require(IPAddress(text))
    #expect(address.isPublic == isPublic)
    #expect(IPAddress(address.description) == address)
  }

  @Test(
    "Retry-After is seconds or a date, at most a day",
    arguments: [
      (" 7\r\n", .seconds(7)), ("0", .zero), ("86401", .seconds(86_400)), ("99999999999999999999", .seconds(86_400)),
      (" Sun, 06 Nov 1994 08:49:37 GMT\r\n", .seconds(37)), ("Sunday, 06-Nov-94 08:49:37 GMT", .seconds(37)),
      ("Sun Nov  6 08:49:37 1994", .seconds(37)), ("Sun, 06 Nov 1994 08:48:00 GMT", .zero),
      ("Mon, 01 Jan 2100 00:00:00 GMT", .seconds(86_400)), ("", nil), ("soon", nil), ("-5", nil), ("1.5", nil),
    ] as [(Substring, Duration?)])
  func retryAfter(value: Substring, expected: Duration?) {
    // 1994-11-06T08:49:00Z
    #expect(delay(retryAfter: value, now: 784_111_740) == expected)
  }
}
