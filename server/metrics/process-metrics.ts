/** Metrics of the process, under the names that all Prometheus clients use. */
import { cpuUsage, memoryUsage } from 'node:process';
import type { Instruments } from './instruments.ts';

export function registerProcess(make: Instruments): void {
  make.gauge('process_resident_memory_bytes', 'Memory that the process holds', () => memoryUsage.rss());
  make.gauge(
    'process_start_time_seconds',
    'When the process started, in seconds since the Unix epoch',
    () => performance.timeOrigin / 1000,
  );
  make.total('process_cpu_seconds_total', 'Processor time of the process, user and system', () => {
    const { user, system } = cpuUsage();
    return (user + system) / 1e6;
  });
}
