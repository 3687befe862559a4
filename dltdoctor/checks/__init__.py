"""The checks, in the order of their codes."""

from dltdoctor.check import Check
from dltdoctor.checks.clobbered_columns import clobbered_columns
from dltdoctor.checks.dataset_drift import dataset_drift
from dltdoctor.checks.dev_mode_dataset import dev_mode_dataset
from dltdoctor.checks.emptied_table import emptied_table
from dltdoctor.checks.false_commit import false_commit
from dltdoctor.checks.hidden_schema import hidden_schema
from dltdoctor.checks.in_flight_load import in_flight_load
from dltdoctor.checks.invalid_staging_layout import invalid_staging_layout
from dltdoctor.checks.missing_table import missing_table
from dltdoctor.checks.pending_packages import pending_packages
from dltdoctor.checks.reader_cannot_see import reader_cannot_see
from dltdoctor.checks.reader_contract_broken import reader_contract_broken
from dltdoctor.checks.reader_reads_staging import reader_reads_staging
from dltdoctor.checks.reader_sees_twin import reader_sees_twin
from dltdoctor.checks.resumable_load import resumable_load
from dltdoctor.checks.schema_not_exposed import schema_not_exposed
from dltdoctor.checks.shadowed_config import shadowed_config
from dltdoctor.checks.shared_staging import shared_staging
from dltdoctor.checks.staging_is_anothers_dataset import staging_is_anothers_dataset
from dltdoctor.checks.staging_is_final import staging_is_final
from dltdoctor.checks.stranded_rows import stranded_rows
from dltdoctor.checks.unreachable_destination import unreachable_destination
from dltdoctor.checks.unreadable_state import unreadable_state
from dltdoctor.checks.unsupported_destination import unsupported_destination
from dltdoctor.checks.version_skew import version_skew
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
    wrong_destination,
    shadowed_config,
    stranded_rows,
    resumable_load,
    false_commit,
    pending_packages,
    in_flight_load,
    clobbered_columns,
    emptied_table,
    missing_table,
    reader_contract_broken,
    reader_cannot_see,
    reader_sees_twin,
    schema_not_exposed,
    reader_reads_staging,
)

BY_CODE = {check.code: check for check in CHECKS}
