# CMakeLists.txt holds the only list of sources; this target hands over to it.
{
  "targets": [
    {
      "target_name": "compact_train",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake-js",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["<(INTERMEDIATE_DIR)/always-run.stamp"],
          "action": ["<!(node -p process.execPath)", "scripts/build-native.cjs", "--config", "<(CONFIGURATION_NAME)"],
        }
      ],
    }
  ]
}
