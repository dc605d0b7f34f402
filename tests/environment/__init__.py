"""The real parts that tests run against: system packages, container images, image registries, small disks."""
