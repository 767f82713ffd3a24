/**
 * `extensions.audit` and `extensions.metrics`: what operators can watch and prove. Read by the
 * configuration loader.
 */
import { block, defaulted, type Keys, optional, required } from '../schema/field.ts'
import { form, text, wholeNumber } from '../schema/value.ts'

export interface OperationsExtensions {
  readonly metrics?:
    | { readonly host: string; readonly port: number; readonly path: string }
    | undefined
  readonly audit?:
    | {
        readonly file: string
        readonly sign_key_file?: string | undefined
        readonly sign_interval_seconds: number
      }
    | undefined
}

export const operationsExtensionKeys: Keys<OperationsExtensions> = {
  metrics: optional(
    block<NonNullable<OperationsExtensions['metrics']>>({
      host: defaulted(text(), 'Address of the metrics listener.', '127.0.0.1'),
      port: required(wholeNumber(0, 65_535), 'TCP port of the metrics listener.'),
      path: defaulted(
        form(/^\/\S*$/, 'a path that starts with a slash'),
        'Path of the metrics.',
        '/metrics',
      ),
    }),
    'Metrics in the Prometheus text format, on a listener of their own.',
  ),
  audit: optional(
    block<NonNullable<OperationsExtensions['audit']>>({
      file: required(
        text(),
        'File that audit lines are appended to, each chained to the one before.',
      ),
      sign_key_file: optional(text(), 'PEM file with the private key that signs the chain.'),
      sign_interval_seconds: defaulted(
        wholeNumber(1),
        'How often the chain is signed, in seconds.',
        60,
      ),
    }),
    'A second copy of the audit, in a file that shows when it was changed.',
  ),
}
