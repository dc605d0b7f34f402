"""Which object types and fields of the API are offered."""

from collections.abc import Mapping

from task_manager.embedded_engine.api.container import Container
from task_manager.embedded_engine.api.directory import Directory
from task_manager.embedded_engine.api.file import File
from task_manager.embedded_engine.api.objects import ApiObject
from task_manager.embedded_engine.api.query import Host, Query
from task_manager.embedded_engine.api.reading import Stat
from task_manager.embedded_engine.api.service import Service
from task_manager.embedded_engine.api.values import CacheVolume, EnvVariable, Label, Port, Secret

OFFERED: Mapping[str, type[ApiObject]] = {
    kind.type_name: kind
    for kind in (
        *(Query, Container, Directory, File, Stat, Host, Service),
        *(CacheVolume, EnvVariable, Label, Port, Secret),
    )
}
