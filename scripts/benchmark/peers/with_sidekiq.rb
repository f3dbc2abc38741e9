# SPDX-License-Identifier: Apache-2.0
# Both sides of Sidekiq: loaded by its workers, and run to submit as many jobs as each line of the input says. What job.py says of
# counting holds here, too.
require 'sidekiq'

Sidekiq.configure_server { |config| config.redis = { path: ENV.fetch('BENCH_REDIS'), size: 15 } }
Sidekiq.configure_client { |config| config.redis = { path: ENV.fetch('BENCH_REDIS') } }
Sidekiq.logger.level = Logger::ERROR
Redis.silence_deprecations = true if Redis.respond_to?(:silence_deprecations=)

def nanos = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)

RAN = String.new(encoding: Encoding::BINARY)

def write
  File.open("#{ENV.fetch('BENCH_WORK')}/ran.#{Process.pid}", 'ab') do |file|
    file.sync = true
    loop do
      sleep 0.005
      file.write(RAN.slice!(0, RAN.bytesize)) unless RAN.empty?
    end
  end
end

class Echo
  include Sidekiq::Worker

  def perform(job)
    RAN << [job['sent'], nanos].pack('q<q<')
  end
end

Thread.new { write } if Sidekiq.server?

if $PROGRAM_NAME == __FILE__
  if ARGV == ['--version']
    puts Sidekiq::VERSION
  else
    $stdin.each_line do |line|
      jobs = Array.new(line.to_i) { [{ 'sent' => nanos, 'text' => 'x' * 60 }] }
      Sidekiq::Client.push_bulk('class' => Echo, 'args' => jobs)
    end
  end
end
