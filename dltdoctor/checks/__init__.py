"""The checks, in the order of their codes."""

from dltdoctor.check import Check
from dltdoctor.checks.clobbered_columns import clobbered_columns
from dltdoctor.checks.dataset_drift import dataset_drift
from dltdoctor.checks.dev_mode_dataset import dev_mode_dataset
from dltdoctor.checks.duplicate_keys import duplicate_keys
from dltdoctor.checks.emptied_table import emptied_table
from dltdoctor.checks.false_commit import false_commit
from dltdoctor.checks.grants_lost_on_replace import grants_lost_on_replace
from dltdoctor.checks.hidden_schema import hidden_schema
from dltdoctor.checks.in_flight_load import in_flight_load
from dltdoctor.checks.invalid_staging_layout import invalid_staging_layout
from dltdoctor.checks.keyless_merge import keyless_merge
from dltdoctor.checks.known_bad_version import known_bad_version
from dltdoctor.checks.lost_load import lost_load
from dltdoctor.checks.merge_needs_postgres_15 import merge_needs_postgres_15
from dltdoctor.checks.missing_column import missing_column
from dltdoctor.checks.missing_privilege import missing_privilege
from dltdoctor.checks.missing_root_key import missing_root_key
from dltdoctor.checks.missing_staging_table import missing_staging_table
from dltdoctor.checks.missing_table import missing_table
from dltdoctor.checks.never_created_column import never_created_column
from dltdoctor.checks.non_atomic_replace import non_atomic_replace
from dltdoctor.checks.normalized_dataset_name import normalized_dataset_name
from dltdoctor.checks.orphan_children import orphan_children
from dltdoctor.checks.orphan_staging import orphan_staging
from dltdoctor.checks.orphaned_cursor import orphaned_cursor
from dltdoctor.checks.partial_batch_retirement import partial_batch_retirement
from dltdoctor.checks.pending_packages import pending_packages
from dltdoctor.checks.reader_cannot_see import reader_cannot_see
from dltdoctor.checks.reader_contract_broken import reader_contract_broken
from dltdoctor.checks.reader_reads_staging import reader_reads_staging
from dltdoctor.checks.reader_sees_twin import reader_sees_twin
from dltdoctor.checks.refresh_left_on import refresh_left_on
from dltdoctor.checks.resumable_load import resumable_load
from dltdoctor.checks.rows_discarded_by_contract import rows_discarded_by_contract
from dltdoctor.checks.same_table_two_sources import same_table_two_sources
from dltdoctor.checks.schema_not_exposed import schema_not_exposed
from dltdoctor.checks.schema_suffix_dataset import schema_suffix_dataset
from dltdoctor.checks.shadowed_config import shadowed_config
from dltdoctor.checks.shared_schema_name import shared_schema_name
from dltdoctor.checks.shared_staging import shared_staging
from dltdoctor.checks.staging_final_type_drift import staging_final_type_drift
from dltdoctor.checks.staging_is_anothers_dataset import staging_is_anothers_dataset
from dltdoctor.checks.staging_is_final import staging_is_final
from dltdoctor.checks.state_not_restored import state_not_restored
from dltdoctor.checks.stranded_rows import stranded_rows
from dltdoctor.checks.tampered_ledger import tampered_ledger
from dltdoctor.checks.twin_tables import twin_tables
from dltdoctor.checks.uncommitted_final_rows import uncommitted_final_rows
from dltdoctor.checks.unquotable_temp_table import unquotable_temp_table
from dltdoctor.checks.unreachable_destination import unreachable_destination
from dltdoctor.checks.unreadable_state import unreadable_state
from dltdoctor.checks.unsupported_destination import unsupported_destination
from dltdoctor.checks.variant_column import variant_column
from dltdoctor.checks.version_skew import version_skew
from dltdoctor.checks.wedged_job import wedged_job
from dltdoctor.checks.wrong_destination import wrong_destination

CHECKS: tuple[Check, ...] = (
    unreadable_state,
    unreachable_destination,
    hidden_schema,
    unsupported_destination,
    version_skew,
    staging_is_final,
    invalid_staging_layout,
    shared_staging,
    staging_is_anothers_dataset,
    dataset_drift,
    dev_mode_dataset,
    schema_suffix_dataset,
    normalized_dataset_name,
    wrong_destination,
    shadowed_config,
    twin_tables,
    stranded_rows,
    resumable_load,
    false_commit,
    lost_load,
    uncommitted_final_rows,
    pending_packages,
    orphaned_cursor,
    wedged_job,
    orphan_staging,
    in_flight_load,
    clobbered_columns,
    emptied_table,
    variant_column,
    never_created_column,
    keyless_merge,
    duplicate_keys,
    partial_batch_retirement,
    same_table_two_sources,
    orphan_children,
    rows_discarded_by_contract,
    missing_table,
    missing_column,
    missing_staging_table,
    staging_final_type_drift,
    missing_root_key,
    shared_schema_name,
    unquotable_temp_table,
    tampered_ledger,
    merge_needs_postgres_15,
    missing_privilege,
    grants_lost_on_replace,
    non_atomic_replace,
    refresh_left_on,
    state_not_restored,
    known_bad_version,
    reader_contract_broken,
    reader_cannot_see,
    reader_sees_twin,
    schema_not_exposed,
    reader_reads_staging,
)

BY_CODE = {check.code: check for check in CHECKS}
