// SPDX-License-Identifier: Apache-2.0
import CCurl
import Glibc

/// What a `Retry-After` header asks for, seconds or an HTTP-date, at most a day; a date that has passed is zero, nonsense is nil.
package func delay(retryAfter value: Substring, now: Int = time(nil)) -> Duration? {
  let day = 86_400
  let text = value.drop(while: \.isWhitespace).prefix { !$0.isNewline }
  let digits = text.prefix { $0.isASCII && $0.isNumber }
  if !digits.isEmpty, text.dropFirst(digits.count).allSatisfy(\.isWhitespace) {
    return .seconds(min(Int(digits) ?? day, day))
  }
  let date = curl_getdate(String(text), nil)
  return date < 0 ? nil : .seconds(min(max(0, date - now), day))
}
