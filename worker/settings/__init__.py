"""The configuration: a file, the environment, and what they mean (INTERFACE, section 1). Values for all above."""

from worker.settings.configuration import RetentionSettings, Settings
from worker.settings.described import DescribedSource
from worker.settings.description import Description
from worker.settings.durations import Duration, parse_duration, shown_duration, within
from worker.settings.endpoint import DeliverySettings, EndpointSettings
from worker.settings.fields import ExistingFile, Section, Url, Whole
from worker.settings.file import DEFAULT_NAME
from worker.settings.listening import Listening
from worker.settings.loading import load
from worker.settings.rate import Rate
from worker.settings.secret import HeaderValue, Secret
from worker.settings.source import Acknowledge, SourceSettings
from worker.settings.template import initialise
from worker.settings.tls import ClientCertificate
from worker.settings.top import Places, places

__all__ = [
    "DEFAULT_NAME",
    "Acknowledge",
    "ClientCertificate",
    "DeliverySettings",
    "DescribedSource",
    "Description",
    "Duration",
    "EndpointSettings",
    "ExistingFile",
    "HeaderValue",
    "Listening",
    "Places",
    "Rate",
    "RetentionSettings",
    "Secret",
    "Section",
    "Settings",
    "SourceSettings",
    "Url",
    "Whole",
    "initialise",
    "load",
    "parse_duration",
    "places",
    "shown_duration",
    "within",
]
