// SPDX-License-Identifier: Apache-2.0
internal import CRoost

/// The sizes of the ABI's structs in version 1.0: nobody may send less, later versions send more.
enum LeastSize {
  static let plugin: UInt32 = 104
  static let executor: UInt32 = 64
  static let handler: UInt32 = 40
  static let error: UInt32 = 56
  static let taskInfo: UInt32 = 120
  /// No struct will ever be as large: whoever says more has not set the size at all.
  static let implausible: UInt32 = 4096
}

/// A struct of the ABI as an older or newer plugin sent it, in the shape that this host knows.
///
/// Copies the smaller of both sizes into a zeroed struct and gives back the sender's size; nil when that is less than
/// `least` or no size that a struct of the ABI has.
func received<T: BitwiseCopyable>(_ pointer: UnsafePointer<T>, least: UInt32, into value: inout T) -> UInt32? {
  // Not `pointee.size`, which may read the whole struct.
  let size = UnsafeRawPointer(pointer).loadUnaligned(as: UInt32.self)
  guard size >= least, size % 8 == 0 else { return nil }
  withUnsafeMutableBytes(of: &value) { room in
    let count = min(Int(size), room.count)
    room.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: count))
    room.storeBytes(of: UInt32(count), as: UInt32.self)
  }
  return size
}

/// The size that was sent, for messages.
func sentSize<T>(_ pointer: UnsafePointer<T>) -> UInt32 {
  UnsafeRawPointer(pointer).loadUnaligned(as: UInt32.self)
}
