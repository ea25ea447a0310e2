"""ProductionMonitoringService: the façade that applications talk to."""

from modelwatch.service.facade import ProductionMonitoringService

__all__ = ["ProductionMonitoringService"]
